//! Fills a warehouse straight from the log.
