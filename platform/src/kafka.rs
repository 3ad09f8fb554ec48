//! Settings of topics that are there already: making a topic again does not change them.

use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, ResourceSpecifier,
};
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::http::problem::Chain;

/// How long a broker may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a topic keeps the settings that it has.
#[derive(Debug, Error)]
enum SettingsError {
    #[error("the broker does not take them")]
    Kafka(#[from] KafkaError),
    #[error("the broker does not tell them")]
    Untold,
    #[error("the broker does not tell the value of {0}, and a change of others would lose it")]
    Hidden(String),
}

/// Brings settings of a topic to what they should be, and says so; all others stay as somebody set them. Where that is not allowed or fails, that is said
/// and nothing else: the topic serves as it is.
pub async fn keep_settings<C: ClientContext>(admin: &AdminClient<C>, topic: &str, wanted: &[(&str, &str)]) {
    match settle(admin, topic, wanted).await {
        Ok(changes) if changes.is_empty() => {}
        Ok(changes) => {
            let changes = changes.join(", ");
            tracing::info!(topic, changes, "settings of the topic {topic} were changed: {changes}");
        }
        Err(error) => {
            let detail = Chain(&error).to_string();
            tracing::warn!(
                topic,
                detail,
                "settings of the topic {topic} stay as they are, and should be {wanted:?}: {detail}"
            );
        }
    }
}

/// The client can only replace all settings that a topic has of its own, so they are read and written again. Whoever changes another one just then may have
/// to do it once more; where ours are right, nothing is written.
async fn settle<C: ClientContext>(
    admin: &AdminClient<C>,
    topic: &str,
    wanted: &[(&str, &str)],
) -> Result<Vec<String>, SettingsError> {
    let (place, options) =
        (ResourceSpecifier::Topic(topic), AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT)));
    let mut told = admin.describe_configs([&place], &options).await?;
    let Some(Ok(found)) = told.pop() else { return Err(SettingsError::Untold) };
    let changes = changes(&found, wanted)?;
    if !changes.is_empty() {
        let mut all = AlterConfig::new(place);
        for (name, value) in own(&found)?.into_iter().chain(wanted.iter().copied()) {
            all = all.set(name, value);
        }
        for altered in admin.alter_configs([&all], &options).await? {
            altered.map_err(|(_, code)| KafkaError::AdminOp(code))?;
        }
    }
    Ok(changes)
}

/// What is to be changed, in words. Of a topic that we may not look at the client gives no settings, rather than an error.
fn changes(found: &ConfigResource, wanted: &[(&str, &str)]) -> Result<Vec<String>, SettingsError> {
    let mut changes = Vec::new();
    for (name, value) in wanted {
        let has = found.get(name).and_then(|entry| entry.value.as_deref()).ok_or(SettingsError::Untold)?;
        if has != *value {
            changes.push(format!("{name} from {has} to {value}"));
        }
    }
    Ok(changes)
}

/// What the topic has of its own; the rest it has from its broker.
fn own(found: &ConfigResource) -> Result<Vec<(&str, &str)>, SettingsError> {
    let own = found.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let told = own.map(|entry| match &entry.value {
        Some(value) => Ok((entry.name.as_str(), value.as_str())),
        None => Err(SettingsError::Hidden(entry.name.clone())),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, OwnedResourceSpecifier};

    use super::*;

    fn topic<const N: usize>(entries: [(&str, Option<&str>, ConfigSource); N]) -> ConfigResource {
        let entries = entries.map(|(name, value, source)| ConfigEntry {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            source,
            is_read_only: false,
            is_default: false,
            is_sensitive: value.is_none(),
        });
        let specifier = OwnedResourceSpecifier::Topic("topic".to_owned());
        ConfigResource { specifier, entries: entries.into() }
    }

    const WANTED: [(&str, &str); 1] = [("retention.ms", "5")];

    #[test]
    fn what_is_as_it_should_be_is_not_touched_and_the_broker_s_value_is_none_of_the_topic_s() {
        let found = topic([
            ("retention.ms", Some("5"), ConfigSource::DynamicTopic),
            ("segment.ms", Some("7"), ConfigSource::Default),
        ]);
        assert_eq!(changes(&found, &WANTED).unwrap(), Vec::<String>::new());
        assert_eq!(own(&found).unwrap(), [("retention.ms", "5")]);
    }

    #[test]
    fn nothing_is_written_over_what_is_not_told() {
        let unseen = topic([]);
        assert!(matches!(changes(&unseen, &WANTED), Err(SettingsError::Untold)));
        let hidden = topic([
            ("retention.ms", Some("4"), ConfigSource::DynamicTopic),
            ("secret", None, ConfigSource::DynamicTopic),
        ]);
        assert_eq!(changes(&hidden, &WANTED).unwrap(), ["retention.ms from 4 to 5"]);
        assert!(matches!(own(&hidden), Err(SettingsError::Hidden(name)) if name == "secret"));
    }
}
