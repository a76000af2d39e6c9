//! Length-prefixed frames on a stream.

use core::time::Duration;

use quinn::{ReadExactError, RecvStream, SendStream};
use tokio::time::timeout;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The stream or its connection ended, as they may.
    Ended,
    /// The frame is longer than allowed.
    Oversized,
    /// The frame stopped in the middle, or is not taken.
    Stalled,
}

/// The next frame. Waits as long as none begins; one that has begun must be whole `within` a time.
pub(crate) async fn read(
    stream: &mut RecvStream,
    limit: usize,
    within: Duration,
) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; LENGTH];
    stream.read_exact(&mut length[..1]).await.map_err(ended)?;
    let rest = async {
        stream.read_exact(&mut length[1..]).await.map_err(ended)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(FrameError::Oversized);
        }
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).await.map_err(ended)?;
        Ok(frame)
    };
    timeout(within, rest).await.unwrap_or(Err(FrameError::Stalled))
}

/// One byte in front of a frame. Waits as long as there is none.
pub(crate) async fn read_byte(stream: &mut RecvStream) -> Result<u8, FrameError> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await.map_err(ended)?;
    Ok(byte[0])
}

/// Writes one byte in front of a frame; the peer must take it `within` a time.
pub(crate) async fn write_byte(
    stream: &mut SendStream,
    byte: u8,
    within: Duration,
) -> Result<(), FrameError> {
    let written = timeout(within, stream.write_all(&[byte])).await;
    written.map_err(|_| FrameError::Stalled)?.map_err(|_| FrameError::Ended)
}

/// Writes a frame, whose length the caller has checked; the peer must take it `within` a time.
pub(crate) async fn write(
    stream: &mut SendStream,
    frame: &[u8],
    within: Duration,
) -> Result<(), FrameError> {
    let length = u32::try_from(frame.len()).map_err(|_| FrameError::Oversized)?;
    let whole = async {
        stream.write_all(&length.to_be_bytes()).await.map_err(|_| FrameError::Ended)?;
        stream.write_all(frame).await.map_err(|_| FrameError::Ended)
    };
    timeout(within, whole).await.unwrap_or(Err(FrameError::Stalled))
}

fn ended(_: ReadExactError) -> FrameError {
    FrameError::Ended
}
