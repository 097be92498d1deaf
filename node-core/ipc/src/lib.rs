//! The control API between the node service and its clients.
