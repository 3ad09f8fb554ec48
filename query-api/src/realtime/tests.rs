//! The realtime side over real sockets.

mod doors;
mod frames;
mod sockets;
mod weather;
