//! Access to the page, for anyone who knows the printed address.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};

/// A secret in every address. Other users of the machine, and pages of other sites in the same browser, can reach the
/// port, but can't guess the secret.
pub(super) struct Access {
    prefix: String,
}

impl Access {
    /// A new secret of 128 random bits.
    ///
    /// # Errors
    /// Those of reading the system's random numbers.
    pub(super) fn new() -> io::Result<Self> {
        let mut bytes = [0_u8; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let mut prefix = "/".to_owned();
        for byte in bytes {
            let _ = write!(prefix, "{byte:02x}");
        }
        prefix.push('/');
        Ok(Self { prefix })
    }

    /// `/TOKEN/`, with which every path begins.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The rest of a path that begins with the secret. Takes constant time, so that it does not reveal where a guess is
    /// wrong.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (guess, rest) = path.split_at_checked(self.prefix.len())?;
        let differences = guess.bytes().zip(self.prefix.bytes());
        let differs = differences.fold(0, |sum, (one, other)| sum | (one ^ other));
        (differs == 0).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_lets_in() {
        let access = Access::new().unwrap();
        let prefix = access.prefix().to_owned();
        assert_eq!(prefix.len(), 34);
        assert_eq!(access.rest(&format!("{prefix}events")), Some("events"));
        assert_eq!(access.rest(&prefix), Some(""));
        for wrong in [
            "",
            "/",
            "/events",
            &prefix[..33],
            "/0123456789abcdef0123456789abcdeg/",
            "é",
        ] {
            assert_eq!(access.rest(wrong), None, "{wrong}");
        }
        assert_ne!(prefix, Access::new().unwrap().prefix());
    }
}
