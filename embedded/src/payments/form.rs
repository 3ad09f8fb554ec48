//! Stripe's request bodies: `application/x-www-form-urlencoded` with brackets for what is nested.

use super::errors::ApiError;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The parameters that are known; any other is refused, as Stripe refuses it. Nested ones by what is before the bracket.
const KNOWN: &[&str] = &[
    "amount",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirm",
    "confirmation_method",
    "currency",
    "description",
    "expand",
    "metadata",
    "payment_method",
    "payment_method_types",
    "transfer_group",
];
/// Stripe's limits on metadata.
const METADATA_ENTRIES_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// A parsed body, in a fixed order.
#[derive(Clone, Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body or a query.
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, ApiError> {
        let mut entries = form_urlencoded::parse(encoded).into_owned().collect::<Vec<_>>();
        entries.sort_unstable();
        for (name, _) in &entries {
            let base = name.split('[').next().unwrap_or_default();
            if !KNOWN.contains(&base) {
                return Err(ApiError::invalid("parameter_unknown", name, "Received unknown parameter."));
            }
        }
        let form = Self(entries);
        form.check_metadata()?;
        Ok(form)
    }

    /// The same for the same request, whatever the order of its parameters.
    pub(super) fn fingerprint(&self, path: &str) -> Uuid {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{path}?{text}").as_bytes())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ApiError::invalid("parameter_missing", name, "Missing required param."))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::invalid("parameter_invalid_boolean", name, "Invalid boolean.")),
        }
    }

    /// Whether the latest charge is wanted whole instead of by its id, the one expansion that there is.
    pub(super) fn expands_charge(&self) -> Result<bool, ApiError> {
        let mut wanted = self.0.iter().filter(|(key, _)| key.starts_with("expand["));
        match wanted.find(|(_, value)| value != "latest_charge") {
            Some((key, _)) => Err(ApiError::invalid("property_cannot_be_expanded", key, "Cannot expand.")),
            None => Ok(self.0.iter().any(|(key, _)| key.starts_with("expand["))),
        }
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let entries = self.0.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((name.to_owned(), value.clone()))
        });
        entries.collect()
    }

    fn check_metadata(&self) -> Result<(), ApiError> {
        let metadata = self.metadata();
        let too_long = |(key, value): (&String, &String)| {
            key.chars().count() > METADATA_KEY_CHARS_MAX || value.chars().count() > METADATA_VALUE_CHARS_MAX
        };
        if metadata.len() > METADATA_ENTRIES_MAX || metadata.iter().any(too_long) {
            return Err(ApiError::invalid("parameter_invalid", "metadata", "Metadata is too large."));
        }
        Ok(())
    }
}
