//! Tokens of clients: a secret that the client keeps, and a file of names and hashes that the node reads.
//!
//! ```text
//! # NAME  SHA-256 of the token
//! ci      5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
//! ```
//!
//! A token has 256 random bits, so its hash tells nobody what it is, and needs no salt and no slow function.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use config::is_name;

use crate::files;
use crate::limits::{TOKEN_BYTES, TOKENS, TOKENS_FILE_BYTES};

/// First part of a token that we make: whoever searches a repository for secrets finds it by that.
const PREFIX: &str = "ringwall_";

/// A token. Its text is shown to nobody but by [`Token::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

/// What the node keeps of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

impl Token {
    /// A new one.
    pub(crate) fn make() -> io::Result<Self> {
        let mut bytes = [0; 32];
        let filled = rand::fill(&mut bytes);
        filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
        Ok(Self(format!("{PREFIX}{}", Hash(bytes))))
    }

    /// What a client was given, or sends: visible ASCII characters, within a limit.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let good = (1..=TOKEN_BYTES).contains(&text.len());
        let good = good && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    /// The text itself, for the one who may have it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        Hash(hash)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Hash {
    fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// The tokens that count, by name.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Vec<(String, Hash)>);

/// What is wrong with a line of the file. Never what it says: somebody may have put the token itself there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Something else than two words.
    Words,
    /// The first word.
    Name,
    /// The second one.
    Hash,
    /// A name or a hash that an earlier line has.
    Twice,
    /// More lines than the limit.
    Many,
}

impl Tokens {
    /// Reads a file that nobody else may read: whoever can write to it decides who comes in, and names are
    /// nobody's business.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = files::read_private(path, TOKENS_FILE_BYTES)?;
        Self::parse(&text).map_err(|(line, mistake)| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {mistake}"))
        })
    }

    /// Reads the lines; the number of the first that is wrong, from 1.
    fn parse(text: &str) -> Result<Self, (usize, Mistake)> {
        let mut tokens: Vec<(String, Hash)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, hash) = entry(text).map_err(|mistake| (line, mistake))?;
            if tokens.iter().any(|(other, known)| *other == name || *known == hash) {
                return Err((line, Mistake::Twice));
            }
            if tokens.len() == TOKENS {
                return Err((line, Mistake::Many));
            }
            tokens.push((name, hash));
        }
        Ok(Self(tokens))
    }

    /// Whose token it is. Takes as long for each of them, and for a wrong one.
    pub(crate) fn holder(&self, token: &Token) -> Option<&str> {
        let Hash(presented) = token.hash();
        let mut holder = None;
        for (name, Hash(hash)) in &self.0 {
            if verify_slices_are_equal(hash, &presented).is_ok() {
                holder = Some(name.as_str());
            }
        }
        holder
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn entry(line: &str) -> Result<(String, Hash), Mistake> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(hash), None) = (words.next(), words.next(), words.next()) else {
        return Err(Mistake::Words);
    };
    if !is_name(name) {
        return Err(Mistake::Name);
    }
    Ok((name.to_owned(), Hash::parse(hash).ok_or(Mistake::Hash)?))
}

/// The line of the file for a token.
pub(crate) fn line(name: &str, token: &Token) -> String {
    let mut line = String::new();
    let _ = write!(line, "{name} {}", token.hash());
    line
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words => {
                f.write_str("not a name and a hash: `ringwall token NAME` prints such a line")
            }
            Self::Name => {
                f.write_str("not a good name: a letter, then letters, digits, `-`, `_` or `.`")
            }
            Self::Hash => f.write_str(
                "not a SHA-256 of 64 hexadecimal digits; the token itself does not belong here",
            ),
            Self::Twice => f.write_str("an earlier line has this name or this hash"),
            Self::Many => write!(f, "more than {TOKENS} tokens"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mistake, Token, Tokens, line};
    use crate::limits::{TOKEN_BYTES, TOKENS};

    #[test]
    fn a_token_is_known_by_its_hash_and_shown_to_nobody() {
        let [ci, ada, other] = [(); 3].map(|()| Token::make().unwrap());
        assert_ne!(ci, ada);
        assert_eq!(Token::of(ci.reveal()), Some(ci.clone()));
        let text = format!("# ours\n\n  {}  \n{}\r\n", line("ci", &ci), line("ada", &ada));
        assert!(!text.contains(ci.reveal()) && !format!("{ci:?}").contains(ci.reveal()));
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!((tokens.holder(&ci), tokens.holder(&ada)), (Some("ci"), Some("ada")));
        assert_eq!((tokens.holder(&other), tokens.len()), (None, 2));
        assert_eq!(Tokens::default().holder(&ci), None);
        // The hash that lies in the file opens nothing.
        assert_eq!(tokens.holder(&Token::of(&ci.hash().to_string()).unwrap()), None);
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // The example of FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Token::of("abc").unwrap().hash().to_string(), abc);
        let upper = format!("a {}", abc.to_uppercase());
        assert_eq!(Tokens::parse(&upper).unwrap().holder(&Token::of("abc").unwrap()), Some("a"));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_by_its_number() {
        let hash = "0".repeat(64);
        let other = "1".repeat(64);
        let cases = [
            (String::new(), Ok(0)),
            ("# nothing\n\n".to_owned(), Ok(0)),
            (format!("ci\t{hash}"), Ok(1)),
            ("ci".to_owned(), Err((1, Mistake::Words))),
            (format!("ci {hash} {hash}"), Err((1, Mistake::Words))),
            (format!("\nci {hash} # mine"), Err((2, Mistake::Words))),
            (format!("token:ci {hash}"), Err((1, Mistake::Name))),
            (format!("{} {hash}", "n".repeat(64)), Err((1, Mistake::Name))),
            (format!("ci {}", &hash[1..]), Err((1, Mistake::Hash))),
            (format!("ci {hash}0"), Err((1, Mistake::Hash))),
            (format!("ci +{}", &hash[1..]), Err((1, Mistake::Hash))),
            (format!("ci {}", "ä".repeat(32)), Err((1, Mistake::Hash))),
            (format!("ci {hash}\nci {other}"), Err((2, Mistake::Twice))),
            (format!("a {hash}\n\nb {hash}"), Err((3, Mistake::Twice))),
        ];
        for (text, expected) in cases {
            assert_eq!(Tokens::parse(&text).map(|tokens| tokens.len()), expected, "{text:?}");
        }
        let many: String =
            (0..=TOKENS).map(|number| format!("n{number} {number:064x}\n")).collect();
        assert_eq!(Tokens::parse(&many).unwrap_err(), (TOKENS + 1, Mistake::Many));
    }

    #[test]
    fn a_file_is_refused_by_line_and_never_quoted() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&path, "ci hunter2").unwrap();
        set(0o600);
        let told = Tokens::read(&path).unwrap_err().to_string();
        assert!(told.starts_with("line 1: not a SHA-256") && !told.contains("hunter2"), "{told}");
        std::fs::write(&path, "").unwrap();
        assert_eq!(Tokens::read(&path).unwrap().len(), 0);
        set(0o640);
        assert!(Tokens::read(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn what_a_client_sends_is_bounded() {
        let longest = "a".repeat(TOKEN_BYTES);
        assert!(Token::of(&longest).is_some() && Token::of(&(longest + "a")).is_none());
        for text in ["", "a b", "a\n", "ä", "\0"] {
            assert_eq!(Token::of(text), None, "{text:?}");
        }
    }
}
