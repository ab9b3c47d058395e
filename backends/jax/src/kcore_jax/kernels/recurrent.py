"""LSTM and GRU as one scan each (to come)."""
