//! What a request tells about a viewer: the kind of device, and country and city. Unknown is `None`, never a
//! guess; the address itself is neither kept nor logged.

mod device;
mod geo;

use geo::GeoFile;
use http::HeaderMap;
use schemas::events::{DeviceType, Location};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Tells device and place.
#[derive(Clone)]
pub struct AudienceFacts(Option<Arc<GeoFile>>);

impl AudienceFacts {
    /// With a MaxMind city or country database, or without. A file that is missing or damaged is logged and
    /// means that places are unknown until a good one is there; it is looked for again every minute.
    #[must_use]
    pub fn open(database: Option<PathBuf>) -> Self {
        Self(database.map(|path| Arc::new(GeoFile::open(path))))
    }

    /// The kind of device, by client hints first and the user agent then.
    #[must_use]
    pub fn device_type(&self, headers: &HeaderMap) -> Option<DeviceType> {
        device::device_type(headers)
    }

    /// Where an address is. Private and unknown addresses are nowhere.
    #[must_use]
    pub fn location(&self, ip: IpAddr) -> Location {
        self.0.as_ref().map(|file| file.location(ip)).unwrap_or_default()
    }
}
