//! The realtime side over real sockets.

mod document;
mod doors;
mod frames;
mod listeners;
mod sockets;
mod weather;
