//! Gateways as their users see them: frames in, frames out.

mod corpus;
mod cuts;
mod dns;
mod failover;
mod ftp;
mod h323;
mod pptp;
mod rtsp;
mod sip;
mod sip_stream;
mod talk;
mod tftp;
mod workers;
