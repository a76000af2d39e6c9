//! Why a client of the TLS listener was turned away before anybody looked at its role, and how often.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::Error;

/// Why a client got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// It speaks no TLS 1.3, or broke off.
    Handshake,
    /// Its certificate is by nobody we know, has expired, is for something else, or is missing.
    Certificate,
    /// It did not finish its handshake in time.
    Slow,
    /// There are as many connections or handshakes as there may be.
    Full,
    /// Its certificate has no DNS name, or several.
    Nameless,
    /// It says nothing of who it is.
    Anonymous,
    /// It has a token that nobody has, or what is none.
    Token,
}

impl Rejection {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Handshake,
        Self::Certificate,
        Self::Slow,
        Self::Full,
        Self::Nameless,
        Self::Anonymous,
        Self::Token,
    ];

    /// The label of the metric.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Certificate => "certificate",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Nameless => "nameless",
            Self::Anonymous => "anonymous",
            Self::Token => "token",
        }
    }

    /// Why a handshake failed.
    pub(super) fn of(error: &io::Error) -> Self {
        let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        let of_certificate = |error: &Error| {
            matches!(error, Error::InvalidCertificate(_) | Error::NoCertificatesPresented)
        };
        if error.is_some_and(of_certificate) { Self::Certificate } else { Self::Handshake }
    }
}

/// How often, by reason.
#[derive(Debug, Default)]
pub(super) struct Rejections([AtomicU64; Rejection::ALL.len()]);

impl Rejections {
    pub(super) fn count(&self, rejection: Rejection) {
        self.0[rejection as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> [(Rejection, u64); Rejection::ALL.len()] {
        Rejection::ALL.map(|it| (it, self.0[it as usize].load(Ordering::Relaxed)))
    }
}
