//! TPKT (RFC 1006 §6, RFC 2126 §4.3): how messages follow each other on H.323's TCP connections.
//!
//! ```text
//!   0         1          2     3        4
//!  +---------+----------+--------------+---------------+
//!  | version | reserved | length, with | Q.931 or H.245 |
//!  |    3    |          | these 4      | message        |
//!  +---------+----------+--------------+---------------+
//! ```

/// Bytes before the message.
pub const HEADER_LEN: usize = 4;

/// The only version that there is.
const VERSION: u8 = 3;

/// What the beginning of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A frame of so many bytes, header included; all are there. With [`HEADER_LEN`] alone it carries no
    /// message: some endpoints keep their connection alive so.
    Complete(usize),
    /// So far it may be a frame, and more bytes are needed.
    Incomplete,
    /// No TPKT: another version, or a length that has no room for the header.
    NotTpkt,
}

/// The frame that `bytes` begin with.
#[must_use]
pub fn frame_len(bytes: &[u8]) -> Frame {
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Frame::NotTpkt;
    }
    let Some(&[_, _, high, low]) = bytes.first_chunk::<HEADER_LEN>() else {
        return Frame::Incomplete;
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        length if length < HEADER_LEN => Frame::NotTpkt,
        length if length > bytes.len() => Frame::Incomplete,
        length => Frame::Complete(length),
    }
}

/// How long the frame is that `bytes` are the beginning of, where it says so already.
pub(crate) fn told_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, high, low] = bytes.first_chunk::<HEADER_LEN>()?;
    Some(usize::from(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_falls_into_frames() {
        let stream = [3, 0, 0, 6, 1, 2, 3, 0, 0, 4, 3];
        assert_eq!(frame_len(&stream), Frame::Complete(6));
        assert_eq!(frame_len(&stream[6..]), Frame::Complete(HEADER_LEN), "a keep-alive");
        for end in 0..6 {
            assert_eq!(frame_len(&stream[..end]), Frame::Incomplete, "{end} bytes");
        }
        assert_eq!(frame_len(&stream[10..]), Frame::Incomplete);
    }

    #[test]
    fn what_is_no_tpkt_is_told_early() {
        for bytes in [&[0][..], b"GET /", &[2, 0, 0, 6], &[3, 0, 0, 3], &[3, 0, 0, 0, 0, 0]] {
            assert_eq!(frame_len(bytes), Frame::NotTpkt, "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_frame_is_one() {
        let mut frame = vec![0; 65_535];
        frame[..HEADER_LEN].copy_from_slice(&[3, 7, 0xff, 0xff]);
        assert_eq!(frame_len(&frame), Frame::Complete(65_535));
        assert_eq!(frame_len(&frame[..65_534]), Frame::Incomplete);
    }
}
