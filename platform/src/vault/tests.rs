use uuid::Uuid;

use super::*;

const TEXT: &str = "text";

fn person(n: u128) -> PersonId {
    PersonId(Uuid::from_u128(n))
}

fn event(n: u128) -> EventId {
    EventId(Uuid::from_u128(n))
}

fn leases_of(lease: Duration) -> VaultOptions {
    VaultOptions { lease, ..VaultOptions::default() }
}

/// A vault with its tasks, over keys in memory.
fn node(keys: &MemoryKeys, lease: Duration) -> Vault {
    let master = MasterKey::new(&SecretBox::new(Box::new([0; 32])));
    Vault::started(Arc::new(keys.clone()), master, Entropy::System, &leases_of(lease))
}

#[tokio::test]
async fn what_is_sealed_opens_in_its_own_event_and_field_only() {
    let vault = Vault::in_memory(1);
    let sealed = vault.seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    assert_eq!(vault.open_text(&sealed, event(1), TEXT).await.unwrap().as_deref(), Some("hello"));
    assert!(matches!(vault.open(&sealed, event(2), TEXT).await, Err(VaultError::Forged(_))));
    assert!(matches!(vault.open(&sealed, event(1), "name").await, Err(VaultError::Forged(_))));
    assert!(matches!(vault.open_identity(&sealed, event(1)).await, Err(VaultError::Forged(_))));
    let mut changed = sealed.clone();
    changed.ciphertext.0[0] ^= 1;
    assert!(matches!(vault.open(&changed, event(1), TEXT).await, Err(VaultError::Forged(_))));
    let mut cut = sealed;
    cut.nonce.0.pop();
    assert!(matches!(vault.open(&cut, event(1), TEXT).await, Err(VaultError::Forged(_))));
}

#[tokio::test]
async fn a_person_has_one_key_and_every_value_a_nonce_of_its_own() {
    let vault = Vault::in_memory(1);
    let first = vault.seal(person(1), event(1), TEXT, b"same").await.unwrap();
    let second = vault.seal(person(1), event(1), TEXT, b"same").await.unwrap();
    let other = vault.seal(person(2), event(1), TEXT, b"same").await.unwrap();
    assert_eq!(first.key_id, second.key_id);
    assert_ne!(first.key_id, other.key_id);
    assert_ne!(first.nonce, second.nonce);
    assert_ne!(first.ciphertext, second.ciphertext);
}

#[tokio::test]
async fn identities_come_back_and_one_seed_gives_one_vault() {
    let identity = Identity { sub: "auth0|1".to_owned(), name: "Anna".to_owned() };
    let sealed = async |seed| {
        let vault = Vault::in_memory(seed);
        let sealed = vault.seal_identity(person(1), event(1), &identity).await.unwrap();
        assert_eq!(vault.open_identity(&sealed, event(1)).await.unwrap(), Some(identity.clone()));
        sealed
    };
    assert_eq!(sealed(1).await, sealed(1).await);
    assert_ne!(sealed(1).await, sealed(2).await);
}

#[tokio::test(start_paused = true)]
async fn an_erased_person_can_neither_be_read_nor_written_again() {
    let keys = MemoryKeys::default();
    let vault = Vault::over_memory(&keys, 1, &VaultOptions::default());
    let sealed = vault.seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    let begun = tokio::time::Instant::now();
    let receipt = vault.erase(person(1)).await.unwrap();
    assert!(begun.elapsed() >= LEASE_MAX, "it waits for every lease of every node");
    assert_eq!((receipt.person, receipt.key_id), (person(1), sealed.key_id));
    for vault in [vault.clone(), Vault::over_memory(&keys, 2, &VaultOptions::default())] {
        assert_eq!(vault.open(&sealed, event(1), TEXT).await.unwrap(), None);
        let again = vault.seal(person(1), event(2), TEXT, b"back").await;
        assert!(matches!(again, Err(VaultError::Erased)));
        assert_eq!(vault.erase(person(1)).await.unwrap(), receipt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_without_a_key_can_be_erased_and_never_gets_one() {
    let vault = Vault::in_memory(1);
    vault.erase(person(1)).await.unwrap();
    assert!(matches!(vault.seal(person(1), event(1), TEXT, b"x").await, Err(VaultError::Erased)));
}

#[tokio::test]
async fn two_nodes_that_meet_a_person_at_once_get_one_key() {
    let keys = MemoryKeys::default();
    let lease = Duration::from_secs(30);
    let (one, two) = (node(&keys, lease), node(&keys, lease));
    for n in 0..50 {
        let sealed = tokio::join!(
            one.seal(person(n), event(1), TEXT, b"one"),
            two.seal(person(n), event(2), TEXT, b"two"),
        );
        let (first, second) = (sealed.0.unwrap(), sealed.1.unwrap());
        assert_eq!(first.key_id, second.key_id);
        assert_eq!(two.open(&first, event(1), TEXT).await.unwrap().as_deref(), Some(&b"one"[..]));
    }
}

#[tokio::test]
async fn those_who_wait_for_keys_share_queries() {
    let keys = MemoryKeys::default();
    let vault = node(&keys, Duration::from_secs(30));
    let sealing = (0..400).map(|n| vault.seal_text(person(n), event(n), TEXT, "hello"));
    let sealed: Vec<Sealed> =
        futures::future::join_all(sealing).await.into_iter().collect::<Result<_, _>>().unwrap();
    assert!(keys.queries() < 60, "{} queries for 400 persons", keys.queries());

    let before = keys.queries();
    let reader = node(&keys, Duration::from_secs(30));
    let requests: Vec<OpenRequest<'_>> = sealed
        .iter()
        .zip(0..)
        .map(|(sealed, n)| OpenRequest { sealed, event_id: event(n), field: TEXT })
        .collect();
    let opened = reader.open_batch(&requests).await;
    assert!(opened.iter().all(|plain| plain.as_ref().unwrap().as_deref() == Some(b"hello")));
    assert!(keys.queries() - before < 30);
}

#[tokio::test]
async fn a_batch_tells_of_each_value_what_one_would() {
    let vault = Vault::in_memory(1);
    let sealed = vault.seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    let unknown = Sealed { key_id: KeyId(Uuid::nil()), ..sealed.clone() };
    let request = |sealed, n| OpenRequest { sealed, event_id: event(n), field: TEXT };
    let opened = vault.open_batch(&[request(&sealed, 1), request(&sealed, 2), request(&unknown, 1)]).await;
    assert!(matches!(&opened[0], Ok(Some(_))));
    assert!(matches!(&opened[1], Err(VaultError::Forged(_))));
    assert!(matches!(&opened[2], Err(VaultError::UnknownKey(_))));
}

#[tokio::test]
async fn leases_in_use_are_renewed_and_end_with_the_connection() {
    let keys = MemoryKeys::default();
    let vault = node(&keys, Duration::from_millis(600));
    let sealed = vault.seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    // in use for longer than a lease, without another load
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(vault.open(&sealed, event(1), TEXT).await.unwrap().is_some());
    }
    keys.set_available(false);
    assert!(vault.open(&sealed, event(1), TEXT).await.unwrap().is_some(), "the lease lasts still");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let opened = vault.open(&sealed, event(1), TEXT).await;
    assert!(matches!(opened, Err(VaultError::Unavailable(_))));
    let more = vault.seal_text(person(1), event(2), TEXT, "more").await;
    assert!(matches!(more, Err(VaultError::Unavailable(_))));
    keys.set_available(true);
    assert!(vault.open(&sealed, event(1), TEXT).await.unwrap().is_some());
}

#[tokio::test]
async fn another_nodes_erasure_reaches_this_one_within_a_lease() {
    let keys = MemoryKeys::default();
    let lease = Duration::from_millis(500);
    let (here, there) = (node(&keys, lease), node(&keys, lease));
    let sealed = here.seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    let reading = tokio::spawn({
        let (here, sealed) = (here.clone(), sealed.clone());
        async move {
            // always in use, so always renewed if it could be
            while here.open(&sealed, event(1), TEXT).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    there.erase(person(1)).await.unwrap();
    // the receipt's word is that no node can read any more: not even one that never stopped reading
    assert_eq!(here.open(&sealed, event(1), TEXT).await.unwrap(), None);
    reading.await.unwrap();
}

#[tokio::test]
async fn the_cache_is_bounded_and_what_falls_out_is_loaded_again() {
    let keys = MemoryKeys::default();
    let options = VaultOptions { cached_keys: 8, ..VaultOptions::default() };
    let vault = Vault::over_memory(&keys, 1, &options);
    let mut sealed = Vec::new();
    for n in 0..100 {
        sealed.push(vault.seal_text(person(n), event(n), TEXT, "hello").await.unwrap());
    }
    for (sealed, n) in sealed.iter().zip(0..) {
        assert!(vault.open(sealed, event(n), TEXT).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn another_master_key_is_told_from_a_forgery() {
    let keys = MemoryKeys::default();
    let sealed = node(&keys, LEASE_MAX).seal_text(person(1), event(1), TEXT, "hello").await.unwrap();
    let other = MasterKey::new(&SecretBox::new(Box::new([9; 32])));
    let vault = Vault::started(Arc::new(keys), other, Entropy::System, &VaultOptions::default());
    let opened = vault.open(&sealed, event(1), TEXT).await;
    assert!(matches!(opened, Err(VaultError::WrongMasterKey(_))));
}
