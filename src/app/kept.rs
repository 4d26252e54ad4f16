//! The store as the configuration wants it.

use std::io;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::clock::Anchor;
use crate::config::{Config, StoreKind};
use crate::store::Keeper;
use crate::store::durable::{Contents, Memory, Sqlite, SqliteSettings, Store};

/// Opens the store and reads what it holds.
///
/// # Errors
/// The store cannot be used; the error names its file and says what would be right.
pub(super) async fn open(config: &Config) -> io::Result<(Keeper, Contents)> {
    let store: Arc<dyn Store> = match config.store.kind {
        StoreKind::Memory => {
            warn!("[store] kind = \"memory\": nothing outlives this process");
            Arc::new(Memory::new())
        }
        StoreKind::Sqlite => {
            let settings = SqliteSettings {
                path: config.store.path.clone(),
                queue: config.store.queue,
                max_size: config.store.max_size,
            };
            // Looking through the file may take a while.
            let opening = tokio::task::spawn_blocking(move || Sqlite::open(&settings));
            let store = opening.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
            let path = std::path::absolute(&config.store.path);
            let path = path.unwrap_or_else(|_| config.store.path.clone());
            info!(path = %path.display(), "what outlives a restart is kept here");
            Arc::new(store)
        }
    };
    let anchor = Anchor::new(Instant::now().into_std(), OffsetDateTime::now_utc());
    let keeper = Keeper::new(store, anchor, config.store.commit_timeout);
    let contents = keeper.load().await.map_err(io::Error::other)?;
    Ok((keeper, contents))
}
