//! The realtime side over real sockets.

mod frames;
mod sockets;
