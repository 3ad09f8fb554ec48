//! Types of settings: how each is read from text and shown again.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

/// A type that a setting can have.
pub(super) trait SettingValue: Sized {
    /// Whether neither value nor faulty text may be shown.
    const IS_SECRET: bool = false;

    /// What the text should have been, as the end of "is not …".
    const EXPECTED: &'static str;

    fn parse(text: &str) -> Option<Self>;

    fn show(&self) -> String;

    /// The value as a number, where it has bounds.
    fn number(&self) -> Option<u64> {
        None
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl SettingValue for $type {
            const EXPECTED: &'static str = "a whole number";

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn number(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )+};
}

numbers!(u16, u32, u64, usize);

impl SettingValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl SettingValue for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl SettingValue for SocketAddr {
    const EXPECTED: &'static str = "an address and port such as 127.0.0.1:8085";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for IpNet {
    const EXPECTED: &'static str = "an address or network such as 10.0.0.0/8";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Several values: an array in the file, commas in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<T>(pub Vec<T>);

impl<T: SettingValue> SettingValue for List<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(T::parse).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        self.0.iter().map(T::show).collect::<Vec<_>>().join(",")
    }
}

/// A secret, possibly not set. Never shown.
#[derive(Clone)]
pub struct Secret(Option<SecretString>);

impl Secret {
    /// A secret made elsewhere, such as one that the data directory keeps.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self(Some(secret).filter(|secret| !secret.expose_secret().is_empty()))
    }

    /// The secret, if it is set.
    #[must_use]
    pub fn get(&self) -> Option<&SecretString> {
        self.0.as_ref()
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The 32 bytes that the secret is the base64 of, if it is.
    #[must_use]
    pub fn key(&self) -> Option<[u8; 32]> {
        let bytes = STANDARD.decode(self.0.as_ref()?.expose_secret()).ok()?;
        bytes.try_into().ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Secret(set)" } else { "Secret(not set)" })
    }
}

impl SettingValue for Secret {
    const IS_SECRET: bool = true;
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(Self::new(SecretString::from(text)))
    }

    fn show(&self) -> String {
        String::from(if self.is_set() { "(set, not shown)" } else { "" })
    }
}

/// Where a store is, possibly nowhere. It may hold a password, which is never shown.
#[derive(Clone)]
pub struct ConnectionUrl(Secret);

impl ConnectionUrl {
    /// The URL, if it is set.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.get().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionUrl({})", self.show())
    }
}

impl SettingValue for ConnectionUrl {
    const IS_SECRET: bool = true;
    const EXPECTED: &'static str = "a connection URL such as scheme://host:port";

    fn parse(text: &str) -> Option<Self> {
        (text.is_empty() || text.contains("://")).then(|| Self(Secret::new(SecretString::from(text))))
    }

    fn show(&self) -> String {
        let Some((scheme, rest)) = self.get().and_then(|url| url.split_once("://")) else {
            return String::new();
        };
        // credentials end at the last `@`, options begin at `?`: neither is shown
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = rest.split('?').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }
}

/// A setting with a few named values.
pub trait Choice: Sized + Copy + 'static {
    /// The names, as a list for messages.
    const NAMES: &'static str;
    /// Each value with its name.
    const ALL: &'static [(&'static str, Self)];
}

macro_rules! choice {
    ($(#[$about:meta])* $name:ident: $names:literal { $($(#[$meaning:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$meaning])* $value,)+ }

        impl Choice for $name {
            const NAMES: &'static str = $names;
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$value)),+];
        }

        impl SettingValue for $name {
            const EXPECTED: &'static str = $names;

            fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
            }

            fn show(&self) -> String {
                let name = Self::ALL.iter().find(|(_, value)| value == self).map(|(name, _)| *name);
                name.unwrap_or_default().to_owned()
            }
        }
    };
}

choice! {
    /// How strict the start is.
    Mode: "development or production" {
        /// Missing secrets are made, sandboxes stand in for providers.
        Development = "development",
        /// Nothing is made up: what is missing or meant for development is refused.
        Production = "production",
    }
}

choice! {
    /// What a line of the log looks like.
    LogFormat: "json or pretty" {
        /// One JSON object a line.
        Json = "json",
        /// For people.
        Pretty = "pretty",
    }
}

choice! {
    /// Whether spans are exported.
    OtlpExport: "none" {
        /// They are not.
        None = "none",
    }
}

choice! {
    /// Who takes the money.
    PaymentProvider: "sandbox" {
        /// Nobody: a stand-in that behaves like a provider.
        Sandbox = "sandbox",
    }
}
