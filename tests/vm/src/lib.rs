//! Virtual machines for tests: QEMU driven over its serial line and its monitor.
