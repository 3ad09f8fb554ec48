//! Persons. Everybody belongs to some creator's community, and may turn up elsewhere.

use schemas::events::{DeviceType, Location};

use crate::creators::Creator;
use crate::dice::{Dice, Seed};
use crate::places::{COUNTRIES, Country, CountryIndex};
use crate::texts;

/// Members of a community who live where its creator does.
const HOME_SHARE: f64 = 0.55;

/// Persons of whom nobody knows where they are, and of whose first device nobody knows what it is.
const UNKNOWN_PLACE_SHARE: f64 = 0.04;
const UNKNOWN_DEVICE_SHARE: f64 = 0.03;

/// Persons with a second device.
const SECOND_DEVICE_SHARE: f64 = 0.3;

/// Persons who never write.
const SILENT_SHARE: f64 = 0.45;

/// The first members of a community moderate it, where it is large enough to need that.
const MODERATORS: u64 = 2;
const MODERATED_FROM: u64 = 60;

/// Who somebody is, among all persons of a history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct PersonKey {
    /// The creator whose community they belong to.
    pub(crate) community: u32,
    /// Their number there: who has been there longest has the lowest.
    pub(crate) member: u64,
}

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) sub: String,
    pub(crate) name: String,
    pub(crate) country: CountryIndex,
    pub(crate) location: Location,
    pub(crate) language: &'static str,
    /// One or two.
    pub(crate) devices: Vec<Device>,
    pub(crate) is_moderator: bool,
    /// How much of a chat is theirs, against others.
    pub(crate) talk: f64,
    /// How much of the tips is theirs, against others.
    pub(crate) giving: f64,
}

/// What somebody watches on.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// `None`: their client has no name for it.
    pub(crate) id: Option<String>,
    pub(crate) kind: Option<DeviceType>,
}

impl Person {
    /// The same in every history of the same seed.
    pub(crate) fn of(people: &Seed, seed: u64, key: PersonKey, creator: &Creator) -> Self {
        let mut dice = people.dice("person", &[key.community.into(), key.member]);
        let country = if dice.chance(HOME_SHARE) { creator.country } else { Country::any(&mut dice) };
        let place = &COUNTRIES[country];
        let city = place.city(&mut dice);
        let location = if dice.chance(UNKNOWN_PLACE_SHARE) {
            Location::default()
        } else {
            Location { country: Some(place.code.to_owned()), city: Some(city.to_owned()) }
        };
        Self {
            sub: format!("gen-{seed}-{}-{}", key.community, key.member),
            name: texts::name(&mut dice),
            country,
            location,
            language: place.language(&mut dice),
            devices: devices(&mut dice),
            is_moderator: key.member < MODERATORS && creator.community >= MODERATED_FROM,
            talk: if dice.chance(SILENT_SHARE) { 0.0 } else { dice.log_normal(1.0, 1.2) },
            giving: dice.pareto(1.0, 400.0, 0.9),
        }
    }

    /// Where they are, for a text.
    pub(crate) fn place(&self) -> &str {
        self.location.city.as_deref().unwrap_or("the road")
    }
}

fn devices(dice: &mut Dice) -> Vec<Device> {
    let kind = |dice: &mut Dice| match dice.weighted([0.56, 0.36, 0.08].into_iter()) {
        0 => DeviceType::Mobile,
        1 => DeviceType::Desktop,
        _ => DeviceType::Tablet,
    };
    let first = kind(dice);
    let is_known = !dice.chance(UNKNOWN_DEVICE_SHARE);
    let has_name = dice.chance(0.9);
    let mut devices =
        vec![Device { id: has_name.then(|| "first".to_owned()), kind: is_known.then_some(first) }];
    if dice.chance(SECOND_DEVICE_SHARE) {
        devices.push(Device { id: Some("second".to_owned()), kind: Some(kind(dice)) });
    }
    devices
}
