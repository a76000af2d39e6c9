//! A forged frame never passes: no segment of a connection that never was, no blind reset, no data
//! outside of the window.

use super::super::hosts::frame::{Body, Read};

pub(crate) const NAME: &str = "forgery";

/// A frame leaves a node, or comes to a host.
pub(crate) fn passes(read: &Read) -> Option<String> {
    read.forged.then(|| match read.body {
        Body::Tcp(segment) => format!("{segment:?} passed"),
        Body::Udp(_) | Body::Other => "a forged packet passed".to_owned(),
    })
}
