"""Small public data sets, fetched when they are first asked for and kept in the cache of `kcore.utils.get_file`.

`mnist.load_data()` and its like return `(x_train, y_train), (x_test, y_test)`. `public` says where the files are and
what their hashes must be. No file is unpickled: `plain_pickle` reads the pickles among them as data.
"""

from __future__ import annotations

from kcore.datasets import boston_housing, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters

__all__ = ["boston_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"]
