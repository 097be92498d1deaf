//! Frames: a big-endian `u32` with the length of what follows, then so many bytes of UTF-8 JSON.
//!
//! Each direction has its own greatest length ([`limits`](crate::limits)). Reading never sets aside
//! more memory than has arrived, so a length without a body costs the sender's patience only. Used
//! by both ends; what is in a frame is the business of [`message`](crate::message).

use std::io;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of the length in front of a frame.
const PREFIX_LEN: usize = size_of::<u32>();

/// Why no frame could be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is zero or above the limit. The stream cannot be read on: the body was not taken.
    #[error("a frame of {len} bytes, where 1 to {max} are accepted")]
    Length {
        /// The length in the frame's prefix, or of the frame to be sent.
        len: usize,
        /// The greatest length in this direction.
        max: usize,
    },
    /// The other side closed in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
    /// The value cannot be written as JSON, which means that this program is wrong.
    #[error("a message could not be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The operating system reported a failure.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Reads one frame of at most `max` bytes; `None` when the other side closed between two frames.
///
/// Not safe to cancel: a half-read frame is lost.
///
/// # Errors
/// [`FrameError::Length`], [`FrameError::Truncated`] or [`FrameError::Io`]; after any of them the
/// stream is of no further use.
pub async fn read<R>(stream: &mut R, max: usize) -> Result<Option<Vec<u8>>, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut prefix = Vec::with_capacity(PREFIX_LEN);
    stream.take(PREFIX_LEN as u64).read_to_end(&mut prefix).await?;
    let prefix = match <[u8; PREFIX_LEN]>::try_from(prefix) {
        Ok(prefix) => prefix,
        Err(part) if part.is_empty() => return Ok(None),
        Err(_) => return Err(FrameError::Truncated),
    };
    let len = u32::from_be_bytes(prefix);
    let expected = usize::try_from(len).unwrap_or(usize::MAX);
    if expected == 0 || expected > max {
        return Err(FrameError::Length { len: expected, max });
    }
    let mut body = Vec::new();
    stream.take(u64::from(len)).read_to_end(&mut body).await?;
    if body.len() < expected {
        return Err(FrameError::Truncated);
    }
    Ok(Some(body))
}

/// Writes `message` as one frame, prefix included.
///
/// # Errors
/// [`FrameError::Length`] when it is longer than `max`, [`FrameError::Encode`] when it is no JSON.
pub fn encode<T: Serialize>(message: &T, max: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; PREFIX_LEN];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Encode)?;
    let len = frame.len() - PREFIX_LEN;
    match u32::try_from(len) {
        Ok(prefix) if len <= max => {
            frame[..PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
            Ok(frame)
        }
        _ => Err(FrameError::Length { len, max }),
    }
}

/// Sends `message` as one frame.
///
/// # Errors
/// As [`encode`], and [`FrameError::Io`].
pub async fn write<W, T>(stream: &mut W, message: &T, max: usize) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
    T: Serialize,
{
    let frame = encode(message, max)?;
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(mut bytes: &[u8], max: usize) -> Result<Option<Vec<u8>>, FrameError> {
        read(&mut bytes, max).await
    }

    #[tokio::test]
    async fn frame_is_read_as_it_was_written() {
        let frame = encode(&serde_json::json!({"a": "ü"}), 64).unwrap();
        assert_eq!(frame, b"\0\0\0\x0a{\"a\":\"\xc3\xbc\"}");
        let body = read_bytes(&frame, 64).await.unwrap().unwrap();
        assert_eq!(body, "{\"a\":\"ü\"}".as_bytes());
    }

    #[tokio::test]
    async fn end_between_frames_is_no_error() {
        assert!(read_bytes(b"", 64).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn end_inside_a_frame_is_an_error() {
        for bytes in [&b"\0"[..], b"\0\0\0", b"\0\0\0\x02", b"\0\0\0\x02{"] {
            let error = read_bytes(bytes, 64).await.unwrap_err();
            assert!(matches!(error, FrameError::Truncated), "{bytes:?}: {error}");
        }
    }

    #[tokio::test]
    async fn length_must_be_within_its_bounds() {
        for (prefix, max, fits) in [(0, 8, false), (8, 8, true), (9, 8, false)] {
            let mut bytes = u32::to_be_bytes(prefix).to_vec();
            bytes.extend([b' '; 16]);
            assert_eq!(read_bytes(&bytes, max).await.is_ok(), fits, "{prefix}");
        }
        let huge = read_bytes(b"\xff\xff\xff\xff", 1 << 22).await.unwrap_err();
        assert!(matches!(huge, FrameError::Length { len: 0xffff_ffff, .. }));
        assert!(matches!(encode(&"123456789", 10), Err(FrameError::Length { len: 11, max: 10 })));
        assert!(encode(&"12345678", 10).is_ok());
    }
}
