"""The structure of an HDF5 file, checked in Python before libhdf5 sees it.

libhdf5 trusts much of what a file says: damaged ones make it crash, hang, or ask for any amount of memory. `check`
walks every structure that it would read (`walk`: superblock and object headers; `messages`: what they hold; `groups`
and `heaps`: where links, attributes and text lie; `storage`: where values lie) and makes sure that all of it lies
inside the file, that no byte belongs to two structures, that counts and sizes agree, and that nothing goes in circles.
What model files never hold is refused; links, storage and types that a reader must not follow become findings. Arrays
are not read.
"""

from __future__ import annotations

from kcore.saving.hdf5_check.walk import check

__all__ = ["check"]
