-- The key vault: one key per person, under which the personal data in events are sealed. The one primary
-- store beside the log: rebuilds leave it alone, and it has a back-up of its own.

CREATE SCHEMA IF NOT EXISTS vault;

CREATE TABLE IF NOT EXISTS vault.keys (
    key_id uuid PRIMARY KEY,
    person uuid NOT NULL UNIQUE,
    -- the person's key under the master key; none: erased
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at timestamptz,
    CONSTRAINT keys_live_or_erased CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);

-- A tombstone stays: a row that came back to life, or went away and was made anew, would let a person's
-- data be written again after they were told that it is gone.
CREATE OR REPLACE FUNCTION vault.keep_tombstones() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.key_id = OLD.key_id AND NEW.person = OLD.person
        AND (OLD.erased_at IS NULL OR NEW.erased_at = OLD.erased_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a key in the vault is only ever made and erased (%)', OLD.key_id;
END
$$;

CREATE OR REPLACE TRIGGER keep_tombstones BEFORE UPDATE OR DELETE ON vault.keys
    FOR EACH ROW EXECUTE FUNCTION vault.keep_tombstones();
