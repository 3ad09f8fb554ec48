use std::time::Duration;

use platform::vault::{MasterKey, Vault, VaultError, VaultOptions};
use schemas::{EventId, PersonId};
use secrecy::SecretBox;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::Server;

const TEXT: &str = "text";

fn node(pool: &PgPool, lease: Duration) -> Vault {
    let master = MasterKey::new(&SecretBox::new(Box::new([1; 32])));
    Vault::postgres(pool.clone(), master, &VaultOptions { lease, ..VaultOptions::default() })
}

fn person(n: u128) -> PersonId {
    PersonId(Uuid::from_u128(n))
}

const EVENT: EventId = EventId(Uuid::from_u128(1));

pub async fn two_nodes_that_meet_a_person_at_once_get_one_key(server: &Server) {
    let pool = server.migrated("rivals").await;
    let lease = Duration::from_secs(30);
    let nodes = [node(&pool, lease), node(&pool, lease), node(&pool, lease)];
    for round in 0..20 {
        // whole crowds, so that batches of several nodes overlap
        let crowd = (0..50).flat_map(|n| nodes.iter().map(move |node| (n, node)));
        let sealing = crowd.map(async |(n, node)| {
            (n, node.seal_text(person(round * 1_000 + n), EVENT, TEXT, "hello").await.unwrap())
        });
        let sealed = futures::future::join_all(sealing).await;
        for (n, value) in &sealed {
            assert!(sealed.iter().all(|(other, theirs)| n != other || theirs.key_id == value.key_id));
            let opened = nodes[2].open_text(value, EVENT, TEXT).await.unwrap();
            assert_eq!(opened.as_deref(), Some("hello"));
        }
    }
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM vault.keys").fetch_one(&pool).await.unwrap();
    assert_eq!(keys, 20 * 50);
}

pub async fn an_erased_person_stays_erased(server: &Server) {
    let pool = server.migrated("erased").await;
    let lease = Duration::from_millis(600);
    let (here, there) = (node(&pool, lease), node(&pool, lease));
    let sealed = here.seal_text(person(1), EVENT, TEXT, "hello").await.unwrap();
    assert!(there.open_text(&sealed, EVENT, TEXT).await.unwrap().is_some());
    let receipt = here.erase(person(1)).await.unwrap();
    for vault in [&here, &there, &node(&pool, lease)] {
        assert_eq!(vault.open(&sealed, EVENT, TEXT).await.unwrap(), None);
        let again = vault.seal_text(person(1), EVENT, TEXT, "back").await;
        assert!(matches!(again, Err(VaultError::Erased)));
    }
    assert_eq!(there.erase(person(1)).await.unwrap(), receipt, "a repeat tells the first time");
    // somebody without a key
    there.erase(person(2)).await.unwrap();
    let never = here.seal_text(person(2), EVENT, TEXT, "hello").await;
    assert!(matches!(never, Err(VaultError::Erased)));
}

pub async fn a_tombstone_cannot_be_lifted(server: &Server) {
    let pool = server.migrated("tombstones").await;
    let vault = node(&pool, Duration::from_millis(100));
    vault.seal_text(person(1), EVENT, TEXT, "hello").await.unwrap();
    vault.erase(person(1)).await.unwrap();
    for forbidden in [
        "DELETE FROM vault.keys",
        "UPDATE vault.keys SET wrapped = '\\x01', erased_at = NULL",
        "UPDATE vault.keys SET person = gen_random_uuid()",
        "UPDATE vault.keys SET erased_at = now()",
    ] {
        assert!(sqlx::query(forbidden).execute(&pool).await.is_err(), "{forbidden}");
    }
}

pub async fn what_is_written_is_durable_whatever_the_session_says(server: &Server) {
    let pool = server.migrated("durable").await;
    for statement in [
        "CREATE TABLE witness (durability text)",
        "CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO witness VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
        "CREATE TRIGGER witness AFTER INSERT OR UPDATE ON vault.keys FOR EACH ROW EXECUTE FUNCTION witness()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let careless = (*pool.connect_options()).clone().options([("synchronous_commit", "off")]);
    let careless = PgPoolOptions::new().max_connections(2).connect_with(careless).await.unwrap();
    let vault = node(&careless, Duration::from_millis(100));
    vault.seal_text(person(1), EVENT, TEXT, "hello").await.unwrap();
    vault.erase(person(1)).await.unwrap();
    vault.erase(person(2)).await.unwrap();
    let seen: Vec<String> =
        sqlx::query_scalar("SELECT durability FROM witness").fetch_all(&pool).await.unwrap();
    assert_eq!(seen, ["on", "on", "on"]);
    let after: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&careless).await.unwrap();
    assert_eq!(after, "off", "the session is left as it was");
}

pub async fn without_its_store_a_node_neither_seals_nor_opens(server: Server) {
    let pool = server.migrated("outage").await;
    let vault = node(&pool, Duration::from_secs(1));
    let sealed = vault.seal_text(person(1), EVENT, TEXT, "hello").await.unwrap();
    server.postgres.stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let opened = vault.open(&sealed, EVENT, TEXT).await;
    assert!(matches!(opened, Err(VaultError::Unavailable(_))), "{opened:?}");
    let more = vault.seal_text(person(1), EVENT, TEXT, "more").await;
    assert!(matches!(more, Err(VaultError::Unavailable(_))), "{more:?}");
}
