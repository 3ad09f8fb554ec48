//! What a token lets its bearer do: one service per Agora product, each with its privileges.

use super::access_token::TokenError;
use super::wire::{Reader, Writer};
use std::collections::BTreeMap;

/// Channel names have fewer bytes than this.
pub const CHANNEL_BYTES_LIMIT: usize = 64;
/// User accounts have at most so many bytes.
pub const ACCOUNT_BYTES_MAX: usize = 255;
/// Besides ASCII letters and digits, a channel name may have these.
const CHANNEL_PUNCTUATION: &[u8] = b" !#$%&()+-:;<=.>?@[]^_{}|~,";

/// Which privilege, to how many seconds after the token's issue it lasts (0: as long as the token).
pub type Privileges = BTreeMap<u16, u32>;

/// Which resource type (message channels, stream channels, …), to which permission (0 read, 1 write), to which resources.
pub type Permissions = BTreeMap<u16, BTreeMap<u16, Vec<String>>>;

/// RTC privileges.
pub mod rtc {
    /// Enter the channel.
    pub const JOIN: u16 = 1;
    /// Publish audio.
    pub const PUBLISH_AUDIO: u16 = 2;
    /// Publish video.
    pub const PUBLISH_VIDEO: u16 = 3;
    /// Publish data.
    pub const PUBLISH_DATA: u16 = 4;
}

/// One service of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The product and whom the token is for there.
    pub scope: Scope,
    /// What the bearer may do.
    pub privileges: Privileges,
}

/// An Agora product, and whom the token is for there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Audio and video in a channel.
    Rtc {
        /// The channel.
        channel: String,
        /// The uid in decimal, or an account; empty is anyone.
        account: String,
    },
    /// Messaging.
    Rtm {
        /// The user.
        user: String,
    },
    /// Server-side mixing.
    Streaming {
        /// The channel.
        channel: String,
        /// The uid in decimal, or an account; empty is anyone.
        account: String,
    },
    /// Accelerated transport.
    Fpa,
    /// Chat.
    Chat {
        /// The user; empty for an application's token.
        user: String,
    },
    /// Delivery by CDN.
    Fcdn {
        /// The channel.
        channel: String,
        /// The uid in decimal, or an account; empty is anyone.
        account: String,
    },
    /// Rooms (flexible classroom).
    Apaas {
        /// The room.
        room: String,
        /// The user.
        user: String,
        /// The user's role, −1 for none.
        role: i16,
    },
    /// Messaging with permissions by resource.
    Rtm2 {
        /// The user.
        user: String,
        /// What the user may do with which resource.
        permissions: Permissions,
    },
    /// Conversational agents.
    ConvoAi,
    /// Speech to text.
    Stt,
}

impl Service {
    /// RTC for one uid, every privilege lasting as long. Checked.
    ///
    /// # Errors
    /// [`TokenError::InvalidChannel`]. Uid 0 is allowed here and means anyone.
    pub fn rtc(channel: &str, uid: u32, privileges: &[u16], seconds: u32) -> Result<Self, TokenError> {
        check_channel(channel)?;
        let account = if uid == 0 { String::new() } else { uid.to_string() };
        Ok(Self {
            scope: Scope::Rtc { channel: channel.to_owned(), account },
            privileges: privileges.iter().map(|&privilege| (privilege, seconds)).collect(),
        })
    }

    /// RTC for one account, every privilege lasting as long. Checked. The account `"0"` stays what it is.
    ///
    /// # Errors
    /// [`TokenError::InvalidChannel`] or [`TokenError::InvalidAccount`].
    pub fn rtc_account(
        channel: &str,
        account: &str,
        privileges: &[u16],
        seconds: u32,
    ) -> Result<Self, TokenError> {
        if account.len() > ACCOUNT_BYTES_MAX {
            return Err(TokenError::InvalidAccount);
        }
        let mut service = Self::rtc(channel, 0, privileges, seconds)?;
        service.scope = Scope::Rtc { channel: channel.to_owned(), account: account.to_owned() };
        Ok(service)
    }

    /// The product's number on the wire.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self.scope {
            Scope::Rtc { .. } => 1,
            Scope::Rtm { .. } => 2,
            Scope::Streaming { .. } => 3,
            Scope::Fpa => 4,
            Scope::Chat { .. } => 5,
            Scope::Fcdn { .. } => 6,
            Scope::Apaas { .. } => 7,
            Scope::Rtm2 { .. } => 8,
            Scope::ConvoAi => 9,
            Scope::Stt => 10,
        }
    }

    pub(super) fn write(&self, to: &mut Writer) -> Result<(), TokenError> {
        to.u16(self.kind()).privileges(&self.privileges)?;
        match &self.scope {
            Scope::Rtc { channel, account }
            | Scope::Streaming { channel, account }
            | Scope::Fcdn { channel, account } => {
                to.text(channel)?.text(account)?;
            }
            Scope::Rtm { user } | Scope::Chat { user } => {
                to.text(user)?;
            }
            Scope::Apaas { room, user, role } => {
                to.text(room)?.text(user)?.i16(*role);
            }
            Scope::Rtm2 { user, permissions } => {
                to.text(user)?;
                write_permissions(permissions, to)?;
            }
            Scope::Fpa | Scope::ConvoAi | Scope::Stt => {}
        }
        Ok(())
    }

    /// `None` for a product that this version does not know: its length is unknown too, so reading ends there.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Option<Self>, TokenError> {
        let kind = from.u16()?;
        if !(1..=10).contains(&kind) {
            return Ok(None);
        }
        let privileges = from.privileges()?;
        let scope = match kind {
            1 => Scope::Rtc { channel: from.text()?, account: from.text()? },
            2 => Scope::Rtm { user: from.text()? },
            3 => Scope::Streaming { channel: from.text()?, account: from.text()? },
            4 => Scope::Fpa,
            5 => Scope::Chat { user: from.text()? },
            6 => Scope::Fcdn { channel: from.text()?, account: from.text()? },
            7 => Scope::Apaas { room: from.text()?, user: from.text()?, role: from.i16()? },
            8 => Scope::Rtm2 { user: from.text()?, permissions: read_permissions(from)? },
            9 => Scope::ConvoAi,
            _ => Scope::Stt,
        };
        Ok(Some(Self { scope, privileges }))
    }
}

/// Refuses what Agora's documentation refuses and its own builders let through.
///
/// # Errors
/// [`TokenError::InvalidChannel`].
pub fn check_channel(channel: &str) -> Result<(), TokenError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || CHANNEL_PUNCTUATION.contains(&byte);
    if channel.is_empty() || channel.len() >= CHANNEL_BYTES_LIMIT || !channel.bytes().all(allowed) {
        return Err(TokenError::InvalidChannel);
    }
    Ok(())
}

fn write_permissions(permissions: &Permissions, to: &mut Writer) -> Result<(), TokenError> {
    to.count(permissions.len())?;
    for (&resource_type, by_permission) in permissions {
        to.u16(resource_type).count(by_permission.len())?;
        for (&permission, resources) in by_permission {
            to.u16(permission).count(resources.len())?;
            for resource in resources {
                to.text(resource)?;
            }
        }
    }
    Ok(())
}

fn read_permissions(from: &mut Reader<'_>) -> Result<Permissions, TokenError> {
    let mut permissions = Permissions::new();
    for _ in 0..from.u16()? {
        let by_permission = permissions.entry(from.u16()?).or_default();
        for _ in 0..from.u16()? {
            let permission = from.u16()?;
            let resources = (0..from.u16()?).map(|_| from.text()).collect::<Result<_, _>>()?;
            by_permission.insert(permission, resources);
        }
    }
    Ok(permissions)
}
