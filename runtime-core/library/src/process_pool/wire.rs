//! The frames that go through the socket between a pool and a child: a head, and as many bytes as it says.

use std::io;

use futures_lite::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// Child: it is ready. The body is the fingerprint of its functions.
    Ready = 1,
    /// Parent: run a function on the argument in the body.
    Run,
    /// Parent: abort a call. The child answers with `Cancelled`, unless another answer is on its way.
    Cancel,
    /// Child: a call's result.
    Value,
    /// Child: a call panicked, with this message.
    Panicked,
    /// Child: a call's future was dropped.
    Cancelled,
    /// Child: a result could not be encoded; with the reason.
    Unencodable,
    /// Child: an argument could not be decoded; with the reason.
    Undecodable,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Ready,
        Self::Run,
        Self::Cancel,
        Self::Value,
        Self::Panicked,
        Self::Cancelled,
        Self::Unencodable,
        Self::Undecodable,
    ];
}

/// One message, in either direction.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The function's number in `Run`; otherwise 0.
    pub(super) function: u32,
    /// The call's number; 0 in `Ready`.
    pub(super) call: u64,
    pub(super) body: Vec<u8>,
}

/// Kind, function, call and the body's length, little-endian: 4, 4, 8 and 8 bytes.
const HEAD_BYTES: usize = 24;

/// The maximum memory that is reserved for a body before any of it has arrived.
const MAX_RESERVED: u64 = 1 << 20;

impl Frame {
    /// Writes the whole frame. Not cancel safe.
    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        head[4..8].copy_from_slice(&self.function.to_le_bytes());
        head[8..16].copy_from_slice(&self.call.to_le_bytes());
        head[16..].copy_from_slice(&(self.body.len() as u64).to_le_bytes());
        to.write_all(&head).await?;
        to.write_all(&self.body).await
    }

    /// Reads the next frame; `None` at the end of the stream. Not cancel safe.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD_BYTES];
        match from.read_exact(&mut head).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let (kind, rest) = head.split_first_chunk().expect("24 bytes");
        let (function, rest) = rest.split_first_chunk().expect("20 bytes");
        let (call, rest) = rest.split_first_chunk().expect("16 bytes");
        let length = u64::from_le_bytes(rest.try_into().expect("8 bytes"));
        let kind = u32::from_le_bytes(*kind);
        let kind = Kind::ALL.into_iter().find(|known| *known as u32 == kind);
        let mut frame = Self {
            kind: kind.ok_or(io::ErrorKind::InvalidData)?,
            function: u32::from_le_bytes(*function),
            call: u64::from_le_bytes(*call),
            body: Vec::with_capacity(length.min(MAX_RESERVED) as usize),
        };
        let read = from.take(length).read_to_end(&mut frame.body).await?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn frames_are_read_back_in_order() {
        let mut bytes = Vec::new();
        let bodies = [vec![], vec![1, 2, 3], vec![9; 3 << 20]];
        for (number, body) in bodies.iter().enumerate() {
            let frame = Frame {
                kind: Kind::Value,
                function: 7,
                call: number as u64 + (1 << 40),
                body: body.clone(),
            };
            block_on(frame.write(&mut bytes)).unwrap();
        }
        let mut rest = &bytes[..];
        for (number, body) in bodies.iter().enumerate() {
            let frame = block_on(Frame::read(&mut rest)).unwrap().unwrap();
            assert_eq!(frame.kind, Kind::Value);
            assert_eq!(frame.function, 7);
            assert_eq!(frame.call, number as u64 + (1 << 40));
            assert_eq!(&frame.body, body);
        }
        assert!(block_on(Frame::read(&mut rest)).unwrap().is_none());
    }

    #[test]
    fn a_truncated_or_invalid_frame_is_an_error() {
        let mut bytes = Vec::new();
        let frame = Frame {
            kind: Kind::Run,
            function: 0,
            call: 0,
            body: vec![0; 100],
        };
        block_on(frame.write(&mut bytes)).unwrap();
        let error = block_on(Frame::read(&mut &bytes[..100])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        bytes[0] = 200;
        let error = block_on(Frame::read(&mut &bytes[..])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        // A length beyond all memory does not reserve any.
        bytes[0] = Kind::Run as u8;
        bytes[16..24].fill(0x7f);
        assert!(block_on(Frame::read(&mut &bytes[..])).is_err());
    }
}
