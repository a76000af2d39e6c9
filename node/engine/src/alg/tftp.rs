//! TFTP: requests (RFC 1350 §5).

/// Whether a datagram asks to read or to write a file: its name and a mode follow, each with a zero behind it.
pub fn is_request(bytes: &[u8]) -> bool {
    let Some(([0, READ | WRITE], rest)) = bytes.split_first_chunk() else { return false };
    let mut words = rest.split(|byte| *byte == 0);
    let (name, mode, more) = (words.next(), words.next(), words.next());
    let known = |mode: &[u8]| MODES.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(mode));
    name.is_some_and(|name| !name.is_empty()) && mode.is_some_and(known) && more.is_some()
}

const READ: u8 = 1;
const WRITE: u8 = 2;
const MODES: [&str; 3] = ["netascii", "octet", "mail"];
