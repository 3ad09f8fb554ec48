//! Country and city by a MaxMind database, if there is one. It is looked at again every minute, so that a newer
//! file needs no restart.

use maxminddb::{Reader, geoip2::City};
use parking_lot::{Mutex, RwLock};
use schemas::events::Location;
use std::fs::Metadata;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use thiserror::Error;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The largest file that is read into memory: many times the real ones (about 60 MB).
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A longer name is no city's.
const CITY_CHARS_MAX: usize = 100;

type Database = Reader<Vec<u8>>;

/// A database file and what was read of it.
pub(super) struct GeoFile {
    path: PathBuf,
    database: RwLock<Option<Arc<Database>>>,
    looked: Mutex<Looked>,
}

/// The last look at the file.
struct Looked {
    at: Instant,
    seen: Option<Stamp>,
}

/// What changes when the file does.
type Stamp = (Option<SystemTime>, u64);

/// Why a file was not taken.
#[derive(Debug, Error)]
enum GeoError {
    #[error("file cannot be read")]
    Read(#[source] io::Error),
    #[error("file is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("file is no maxmind database")]
    Format(#[source] maxminddb::MaxMindDbError),
}

impl GeoFile {
    pub(super) fn open(path: PathBuf) -> Self {
        let looked = Mutex::new(Looked { at: Instant::now(), seen: None });
        let file = Self { path, database: RwLock::new(None), looked };
        file.refresh();
        if file.database.read().is_none() {
            tracing::warn!(geo.path = %file.path.display(), "no usable geo database: places are unknown");
        }
        file
    }

    pub(super) fn location(self: &Arc<Self>, ip: IpAddr) -> Location {
        self.look_when_due();
        let ip = ip.to_canonical();
        if !is_public(ip) {
            return Location::default();
        }
        let database = self.database.read().clone();
        database.and_then(|database| find(&database, ip)).unwrap_or_default()
    }

    /// Reading a new file takes a while: on a thread of its own, and requests go on with the old one.
    fn look_when_due(self: &Arc<Self>) {
        {
            let Some(mut looked) = self.looked.try_lock() else { return };
            if looked.at.elapsed() < LOOK_EVERY {
                return;
            }
            looked.at = Instant::now();
        }
        let file = self.clone();
        let spawned = std::thread::Builder::new().name("geo-database".into()).spawn(move || file.refresh());
        if let Err(error) = spawned {
            tracing::warn!(%error, "geo database cannot be looked at");
        }
    }

    /// Takes the file as it is now. A damaged one leaves the old one in place, a missing one does not.
    fn refresh(&self) {
        let stamp = std::fs::metadata(&self.path).ok().map(|metadata| stamp(&metadata));
        if stamp == self.looked.lock().seen {
            return;
        }
        if stamp.is_none() {
            *self.database.write() = None;
        } else {
            match read(&self.path) {
                Ok(database) => *self.database.write() = Some(Arc::new(database)),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(geo.path = %self.path.display(), %error, cause, "geo database not taken");
                }
            }
        }
        self.looked.lock().seen = stamp;
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.modified().ok(), metadata.len())
}

fn read(path: &std::path::Path) -> Result<Database, GeoError> {
    if std::fs::metadata(path).map_err(GeoError::Read)?.len() > FILE_BYTES_MAX {
        return Err(GeoError::TooLarge);
    }
    let bytes = std::fs::read(path).map_err(GeoError::Read)?;
    Reader::from_source(bytes).map_err(GeoError::Format)
}

/// A damaged entry is nowhere.
fn find(database: &Database, ip: IpAddr) -> Option<Location> {
    let city: City<'_> = database.lookup(ip).ok()?.decode().ok()??;
    let is_code = |code: &&str| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_name = |name: &&str| !name.is_empty() && name.chars().count() <= CITY_CHARS_MAX;
    Some(Location {
        country: city.country.iso_code.filter(is_code).map(str::to_owned),
        city: city.city.names.english.filter(is_name).map(str::to_owned),
    })
}

/// Whether an address can be anywhere at all.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    let carrier_grade_nat = first == 100 && (64..128).contains(&second);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || carrier_grade_nat
        || first == 0
        || first >= 240)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::audience_facts::AudienceFacts;
    use serde_json::Value;
    use std::path::Path;

    fn vector(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/geoip").join(name)
    }

    fn expected() -> Vec<Value> {
        let text = std::fs::read_to_string(vector("expected_GeoLite2-City-Test.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn ip(value: &Value) -> IpAddr {
        value["ip"].as_str().unwrap().parse().unwrap()
    }

    #[test]
    fn known_addresses_are_found() {
        let facts = AudienceFacts::open(Some(vector("GeoLite2-City-Test.mmdb")));
        for entry in expected() {
            let location = facts.location(ip(&entry));
            assert_eq!(location.country.as_deref(), entry["country"].as_str(), "{entry}");
            assert_eq!(location.city.as_deref(), entry["city"].as_str(), "{entry}");
        }
    }

    #[test]
    fn other_and_damaged_databases_are_safe() {
        let country = AudienceFacts::open(Some(vector("GeoLite2-Country-Test.mmdb")));
        let london = country.location("81.2.69.142".parse().unwrap());
        assert_eq!((london.country.as_deref(), london.city), (Some("GB"), None));
        let network = AudienceFacts::open(Some(vector("GeoLite2-ASN-Test.mmdb")));
        for name in [
            "GeoIP2-City-Test-Broken-Double-Format.mmdb",
            "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
            "MaxMind-DB-test-broken-search-tree-24.mmdb",
            "expected_GeoLite2-City-Test.json",
            "missing.mmdb",
        ] {
            let facts = AudienceFacts::open(Some(vector(name)));
            for entry in expected() {
                let _ = facts.location(ip(&entry));
                assert_eq!(network.location(ip(&entry)), Location::default());
            }
        }
    }

    #[test]
    fn without_a_database_everybody_is_nowhere() {
        let facts = AudienceFacts::open(None);
        assert_eq!(facts.location("81.2.69.142".parse().unwrap()), Location::default());
    }

    #[test]
    fn a_newer_file_is_taken_and_a_damaged_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("city.mmdb");
        let london: IpAddr = "81.2.69.142".parse().unwrap();
        let file = Arc::new(GeoFile::open(path.clone()));
        let country = || {
            file.refresh();
            file.location(london).country
        };
        assert_eq!(country(), None);
        std::fs::copy(vector("GeoLite2-City-Test.mmdb"), &path).unwrap();
        assert_eq!(country().as_deref(), Some("GB"));
        std::fs::write(&path, "no database").unwrap();
        assert_eq!(country().as_deref(), Some("GB"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(country(), None);
    }

    #[test]
    fn every_truncation_is_safe() {
        let whole = std::fs::read(vector("GeoLite2-City-Test.mmdb")).unwrap();
        let addresses = expected().iter().map(ip).collect::<Vec<_>>();
        for length in (0..whole.len()).step_by(509) {
            if let Ok(database) = Reader::from_source(whole[..length].to_vec()) {
                for ip in &addresses {
                    let _ = find(&database, *ip);
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_safe(damage in proptest::collection::vec((0usize..21_088, proptest::num::u8::ANY), 1..40)) {
            let mut bytes = std::fs::read(vector("GeoLite2-City-Test.mmdb")).unwrap();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            if let Ok(database) = Reader::from_source(bytes) {
                for entry in expected() {
                    let _ = find(&database, ip(&entry));
                }
            }
        }
    }
}
