//! The primitive values of a token: little-endian integers, strings of at most 65,535 bytes, maps in key order.

use super::access_token::TokenError;
use std::collections::BTreeMap;

/// Appends values to a buffer.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A signed value goes out as its two's complement.
    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn count(&mut self, count: usize) -> Result<&mut Self, TokenError> {
        Ok(self.u16(u16::try_from(count).map_err(|_| TokenError::TooLong)?))
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> Result<&mut Self, TokenError> {
        self.count(value.len())?.0.extend_from_slice(value);
        Ok(self)
    }

    pub(super) fn text(&mut self, value: &str) -> Result<&mut Self, TokenError> {
        self.bytes(value.as_bytes())
    }

    pub(super) fn privileges(&mut self, privileges: &BTreeMap<u16, u32>) -> Result<&mut Self, TokenError> {
        self.count(privileges.len())?;
        for (&privilege, &seconds) in privileges {
            self.u16(privilege).u32(seconds);
        }
        Ok(self)
    }
}

/// Takes values from the front of a slice.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(TokenError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TokenError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, TokenError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, TokenError> {
        self.array().map(i16::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], TokenError> {
        let length = usize::from(self.u16()?);
        let (head, rest) = self.0.split_at_checked(length).ok_or(TokenError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    /// What is not UTF-8 is replaced: the signature is checked over the raw bytes, never over what was read.
    pub(super) fn text(&mut self) -> Result<String, TokenError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn privileges(&mut self) -> Result<BTreeMap<u16, u32>, TokenError> {
        (0..self.u16()?).map(|_| Ok((self.u16()?, self.u32()?))).collect()
    }
}
