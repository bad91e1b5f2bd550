//! The streams of the folder: which there are, which come and go. Lives on core 0.
//!
//! A change is durable in the catalog before any core learns of it, except that a stream's name is
//! taken in memory while its creation is under way: two creations of one name meet here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use model::api_error::{ApiError, LimitExceeded, ResourceInUse, ResourceNotFound};
use model::stream::{AccountId, Region, StreamAddress, StreamStatus};
use model::{ShardMap, StreamName};
use runtime::clock;
use runtime::local::Oneshot;
use runtime::mesh::{self, Receiver, ReplySender};
use runtime::task;
use storage::catalog::CatalogClient;

use crate::command::Command;
use crate::core::CoreDoor;
use crate::placement::StreamNumber;
use crate::race::{First, race};
use crate::stored::{self, DeletedStream, StoredStreams};
use crate::stream::{Stream, StreamDescription, StreamInner, StreamOptions};

/// A request about streams.
pub(crate) enum RegistryRequest {
    /// Makes a stream; answers when it is `ACTIVE`.
    Create {
        name: StreamName,
        shard_count: u32,
        options: StreamOptions,
        reply: ReplySender<Result<Stream, ApiError>>,
    },
    /// Deletes a stream with all its records.
    Delete { name: StreamName, reply: ReplySender<Result<(), ApiError>> },
    /// One stream.
    Describe { name: StreamName, reply: ReplySender<Result<StreamDescription, ApiError>> },
    /// All streams by name.
    List { reply: ReplySender<Vec<StreamDescription>> },
}

/// See the module.
pub(crate) struct Registry {
    quota: Quota,
    catalog: CatalogClient,
    cores: Vec<CoreDoor>,
    streams: RefCell<Streams>,
}

/// Whose streams these are, and how many shards they may have.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) shards_max: u32,
}

struct Streams {
    by_name: BTreeMap<StreamName, StreamDescription>,
    next_number: u32,
}

impl Registry {
    /// Opens the shards of all stored streams on their cores, and has the shards of deleted ones
    /// forgotten.
    ///
    /// # Errors
    /// The core that has ended.
    pub(crate) async fn open(
        quota: Quota,
        catalog: CatalogClient,
        cores: Vec<CoreDoor>,
        stored: StoredStreams,
    ) -> Result<Registry, EndedCore> {
        let StoredStreams { streams, deleted, next_number } = stored;
        let mut by_name = BTreeMap::new();
        for stream in streams {
            open_everywhere(&cores, &stream, false).await?;
            let status = StreamStatus::Active;
            by_name.insert(stream.name().clone(), StreamDescription { stream, status });
        }
        let mut forgotten = Vec::new();
        for deleted in deleted {
            if forget_everywhere(&cores, deleted).await? == 0 {
                forgotten.push(stored::forgetting(deleted));
            }
        }
        let streams = RefCell::new(Streams { by_name, next_number });
        let registry = Registry { quota, catalog, cores, streams };
        if !forgotten.is_empty() {
            let catalog = registry.catalog.clone();
            // It only saves space: where it fails, the next start asks the logs once more.
            drop(task::spawn(async move { drop(catalog.commit(forgotten).await) }));
        }
        Ok(registry)
    }

    /// How many streams there are.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.borrow().by_name.len()
    }

    fn address(&self, name: &StreamName) -> StreamAddress {
        StreamAddress { account: self.quota.account, name: name.clone() }
    }

    async fn create(
        &self,
        name: StreamName,
        shard_count: u32,
        options: StreamOptions,
    ) -> Result<Stream, ApiError> {
        let stream = self.begin_creation(name, shard_count, options)?;
        let created = match self.catalog.commit(stored::creation(&stream)).await {
            Ok(()) => open_everywhere(&self.cores, &stream, true).await.is_ok(),
            Err(_) => false,
        };
        let mut streams = self.streams.borrow_mut();
        if !created {
            streams.by_name.remove(stream.name());
            return Err(ApiError::InternalFailure);
        }
        let description = streams.by_name.get_mut(stream.name()).expect("its name was taken");
        description.status = StreamStatus::Active;
        Ok(stream)
    }

    /// Takes the name and a number.
    fn begin_creation(
        &self,
        name: StreamName,
        shard_count: u32,
        options: StreamOptions,
    ) -> Result<Stream, ApiError> {
        let address = self.address(&name);
        let mut streams = self.streams.borrow_mut();
        if streams.by_name.contains_key(&name) {
            return Err(ApiError::ResourceInUse(ResourceInUse::AlreadyExists(address)));
        }
        self.check_quota(&streams, shard_count)?;
        let created_ms = clock::wall_ms();
        let stream = Stream::new(StreamInner {
            number: StreamNumber(streams.next_number),
            address,
            shards: ShardMap::uniform(shard_count, created_ms / 1000),
            options,
            created_ms,
        });
        streams.next_number =
            streams.next_number.checked_add(1).expect("a folder has had fewer than 2^32 streams");
        let description =
            StreamDescription { stream: stream.clone(), status: StreamStatus::Creating };
        streams.by_name.insert(name, description);
        Ok(stream)
    }

    fn check_quota(&self, streams: &Streams, additional_count: u32) -> Result<(), ApiError> {
        let open = streams.by_name.values().map(|found| found.stream.shards().open().len());
        let open_count = u32::try_from(open.sum::<usize>()).expect("the quota has 32 bits");
        let Quota { account, ref region, shards_max: limit_count } = self.quota;
        if open_count.saturating_add(additional_count) <= limit_count {
            return Ok(());
        }
        let region = region.clone();
        Err(ApiError::LimitExceeded(LimitExceeded::Shards {
            account,
            region,
            open_count,
            limit_count,
            additional_count,
        }))
    }

    async fn delete(&self, name: &StreamName) -> Result<(), ApiError> {
        let stream = self.begin_deletion(name)?;
        if self.catalog.commit(stored::deletion(&stream)).await.is_err() {
            // Whether it is durable is unknown, and the catalog takes nothing more: the stream
            // stays as it is, in a state in which nobody can use it.
            return Err(ApiError::InternalFailure);
        }
        self.streams.borrow_mut().by_name.remove(name);
        match forget_everywhere(&self.cores, DeletedStream::of(&stream)).await {
            // A core that has ended forgets the shards at the next start.
            Ok(_) | Err(EndedCore(_)) => Ok(()),
        }
    }

    fn begin_deletion(&self, name: &StreamName) -> Result<Stream, ApiError> {
        let mut streams = self.streams.borrow_mut();
        let Some(description) = streams.by_name.get_mut(name) else {
            let error = ResourceNotFound::Stream(self.address(name));
            return Err(ApiError::ResourceNotFound(error));
        };
        let stream = description.stream.clone();
        if description.status != StreamStatus::Active {
            let status = description.status;
            let stream = stream.address().clone();
            return Err(ApiError::ResourceInUse(ResourceInUse::NotActive { stream, status }));
        }
        description.status = StreamStatus::Deleting;
        Ok(stream)
    }

    fn describe(&self, name: &StreamName) -> Result<StreamDescription, ApiError> {
        let found = self.streams.borrow().by_name.get(name).cloned();
        let not_found = || ResourceNotFound::Stream(self.address(name));
        found.ok_or_else(|| ApiError::ResourceNotFound(not_found()))
    }

    fn list(&self) -> Vec<StreamDescription> {
        self.streams.borrow().by_name.values().cloned().collect()
    }
}

/// A core that does not answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedCore(pub(crate) usize);

/// Serves requests until it is told to stop, or nobody is left who could send one.
pub(crate) async fn serve(
    registry: Rc<Registry>,
    mut requests: Receiver<RegistryRequest>,
    mut stopped: Oneshot<()>,
) {
    loop {
        let request = match race(requests.recv(), &mut stopped).await {
            First::Left(Some(request)) => request,
            First::Left(None) | First::Right(_) => return,
        };
        let registry = Rc::clone(&registry);
        match request {
            RegistryRequest::Describe { name, reply } => reply.send(registry.describe(&name)),
            RegistryRequest::List { reply } => reply.send(registry.list()),
            RegistryRequest::Create { name, shard_count, options, reply } => {
                drop(task::spawn(async move {
                    reply.send(registry.create(name, shard_count, options).await);
                }));
            }
            RegistryRequest::Delete { name, reply } => {
                drop(task::spawn(async move { reply.send(registry.delete(&name).await) }));
            }
        }
    }
}

async fn open_everywhere(
    cores: &[CoreDoor],
    stream: &Stream,
    is_new: bool,
) -> Result<(), EndedCore> {
    for (core, door) in cores.iter().enumerate() {
        let (reply, opened) = mesh::reply();
        let command = Command::OpenStream { stream: stream.clone(), is_new, reply };
        door.commands.send(command).await.map_err(|_| EndedCore(core))?;
        opened.await.map_err(|_| EndedCore(core))?;
    }
    Ok(())
}

async fn forget_everywhere(cores: &[CoreDoor], deleted: DeletedStream) -> Result<usize, EndedCore> {
    let mut known = 0;
    for (core, door) in cores.iter().enumerate() {
        let (reply, forgotten) = mesh::reply();
        let command = Command::ForgetStream { deleted, reply };
        door.commands.send(command).await.map_err(|_| EndedCore(core))?;
        known += forgotten.await.map_err(|_| EndedCore(core))?;
    }
    Ok(known)
}
