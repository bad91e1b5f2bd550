//! The file `identity` of a data folder: what is decided once, when the folder is made.
//!
//! Text that a person can read, filled up to one block with empty lines. It is written last, so
//! that a folder without it holds nothing that was ever acknowledged. The number of logs says in
//! which log every shard is: a line that has rotted must never be believed, so the last one is the
//! checksum of those before.

use std::path::Path;
use std::rc::Rc;

use runtime::buffer::Buffer;
use runtime::file::{self, Access, IoError};
use storage::frame::BLOCK_BYTES;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

const NAME: &str = "identity";
const NEW_NAME: &str = "identity.new";
const TITLE: &str = "gyre data folder";
/// The only version there is.
const FORMAT: u32 = 1;

/// What a data folder is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How many logs it has.
    pub logs: u16,
    /// Size of its segment files, bytes.
    pub segment_bytes: u64,
}

/// Why the bytes are no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// It does not start as one.
    NotOurs,
    /// It was written by a later version.
    Format {
        /// The version that it states.
        found: u32,
    },
    /// A line is missing or makes no sense.
    Malformed {
        /// The word that the line starts with.
        line: &'static str,
    },
    /// The lines make sense, and are not those that were written.
    Checksum,
}

impl Identity {
    fn encode(self) -> String {
        let Identity { logs, segment_bytes } = self;
        let lines =
            format!("{TITLE}\nformat {FORMAT}\nlogs {logs}\nsegment-bytes {segment_bytes}\n");
        let checksum = xxh3_64(lines.as_bytes());
        format!("{lines}check {checksum:016x}\n")
    }

    fn decode(bytes: &[u8]) -> Result<Identity, IdentityError> {
        // What rots in the padding, or makes a line no text, is no reason for another answer.
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(IdentityError::NotOurs);
        }
        let format = number(&mut lines, "format")?;
        if format != u64::from(FORMAT) {
            let found = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(IdentityError::Format { found });
        }
        let logs = number(&mut lines, "logs")?;
        let logs = u16::try_from(logs).ok().filter(|logs| (1..=LOGS_MAX).contains(logs));
        let logs = logs.ok_or(IdentityError::Malformed { line: "logs" })?;
        let segment_bytes = number(&mut lines, "segment-bytes")?;
        let in_blocks = segment_bytes.is_multiple_of(BLOCK_BYTES as u64);
        if !in_blocks || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes) {
            return Err(IdentityError::Malformed { line: "segment-bytes" });
        }
        let identity = Identity { logs, segment_bytes };
        // Byte for byte: a number has other spellings, and nobody wrote those.
        match bytes.starts_with(identity.encode().as_bytes()) {
            true => Ok(identity),
            false => Err(IdentityError::Checksum),
        }
    }
}

/// Logs that a folder can have.
pub(crate) const LOGS_MAX: u16 = 1024;

fn number(lines: &mut std::str::Lines<'_>, name: &'static str) -> Result<u64, IdentityError> {
    let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).ok_or(IdentityError::Malformed { line: name })
}

/// Reads the identity of a folder; `None` if it has none.
///
/// # Errors
/// The disk's. The inner error says why what is there is no identity.
pub(crate) async fn read(
    directory: &Path,
) -> Result<Option<Result<Identity, IdentityError>>, IoError> {
    let path = directory.join(NAME);
    if !file::exists(&path).await? {
        return Ok(None);
    }
    let file = file::open(&path, Access::Read).await?;
    if file.bytes() < BLOCK_BYTES as u64 {
        return Ok(Some(Err(IdentityError::NotOurs)));
    }
    let block = file.read(0, BLOCK_BYTES).await?;
    file.close().await;
    Ok(Some(Identity::decode(&block)))
}

/// Gives a folder its identity. It is durable on return.
///
/// # Errors
/// The disk's.
pub(crate) async fn write(directory: &Path, identity: Identity) -> Result<(), IoError> {
    let text = identity.encode();
    let mut block = Buffer::zeroed(BLOCK_BYTES);
    assert!(text.len() <= block.len());
    block.fill(b'\n');
    block[..text.len()].copy_from_slice(text.as_bytes());
    let new = directory.join(NEW_NAME);
    if file::exists(&new).await? {
        file::remove(&new).await?;
    }
    let file = file::create(&new, Access::ReadWrite, BLOCK_BYTES as u64).await?;
    file.write(0, Rc::new(block)).await?;
    file.flush().await?;
    file.close().await;
    file::rename(&new, &directory.join(NAME)).await?;
    file::sync_directory(directory).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Identity, IdentityError>) {
        assert_eq!(Identity::decode(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn an_identity_comes_back_through_its_padding() {
        let identity = Identity { logs: 4, segment_bytes: 64 << 20 };
        let text = identity.encode();
        let lines = "gyre data folder\nformat 1\nlogs 4\nsegment-bytes 67108864\n";
        assert_eq!(text, format!("{lines}check 4c3d1cf1d7a332af\n"));
        check(&text, Ok(identity));
        check(&(text + &"\n".repeat(4000)), Ok(identity));
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        check("", Err(IdentityError::NotOurs));
        check("something else\n", Err(IdentityError::NotOurs));
        assert_eq!(Identity::decode(&[0xff; 4096]), Err(IdentityError::NotOurs));
        check("gyre data folder\n", Err(IdentityError::Malformed { line: "format" }));
        check("gyre data folder\nformat 2\n", Err(IdentityError::Format { found: 2 }));
        let with = |rest: &str| format!("gyre data folder\nformat 1\n{rest}");
        check(&with("logs 0\n"), Err(IdentityError::Malformed { line: "logs" }));
        check(&with("logs 1025\n"), Err(IdentityError::Malformed { line: "logs" }));
        check(&with("logs x\n"), Err(IdentityError::Malformed { line: "logs" }));
        let segment_bytes = Err(IdentityError::Malformed { line: "segment-bytes" });
        check(&with("logs 1\n"), segment_bytes);
        check(&with("logs 1\nsegment-bytes 16777217\n"), segment_bytes);
        check(&with("logs 1\nsegment-bytes 4096\n"), segment_bytes);
        check(&with("logs 1\nsegment-bytes 2147483648\n"), segment_bytes);
        check(&with("logs 1\nsegment-bytes 16777216\n"), Err(IdentityError::Checksum));
    }

    #[test]
    fn no_flipped_bit_gives_another_identity() {
        for logs in [1, 4, 1_024] {
            let identity = Identity { logs, segment_bytes: 64 << 20 };
            let text = identity.encode();
            let mut block = vec![b'\n'; BLOCK_BYTES];
            block[..text.len()].copy_from_slice(text.as_bytes());
            for bit in 0..block.len() * 8 {
                block[bit / 8] ^= 1 << (bit % 8);
                let decoded = Identity::decode(&block);
                block[bit / 8] ^= 1 << (bit % 8);
                let is_padding = bit / 8 >= text.len();
                assert_eq!(decoded.is_ok(), is_padding, "bit {bit}");
                assert!(decoded.is_err() || decoded == Ok(identity), "bit {bit}");
            }
        }
    }
}
