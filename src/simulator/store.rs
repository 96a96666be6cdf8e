//! What accounts have made and will ask for again: files, batches, responses, threads and what lies in them.
//!
//! Every look-up names the account: an object of another one is not there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use serde_json::Value;

/// Objects that are kept; beyond it the oldest is forgotten.
const MOST_OBJECTS: usize = 10_000;

/// Bytes that are kept of all objects together; beyond it the oldest are forgotten.
const MOST_BYTES: usize = 256 << 20;

/// Something that an account has made.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its name, which its collection makes unique.
    pub(super) id: String,
    /// Where it lies: `files`, `threads/thread_1/messages`.
    pub(super) collection: String,
    /// What the API shows of it.
    pub(super) json: Value,
    /// Its content, where it has one beside that.
    pub(super) content: Bytes,
    /// When it was made; some are finished a moment later.
    pub(super) made: Instant,
}

impl Object {
    /// An object that is made now.
    pub(super) fn new(collection: impl Into<String>, id: impl Into<String>, json: Value) -> Self {
        Self { id: id.into(), collection: collection.into(), json, content: Bytes::new(), made: Instant::now() }
    }
}

/// An account's number, never used twice.
pub(super) type Account = u64;

/// The objects of all accounts, oldest first.
#[derive(Default)]
pub(super) struct Store(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    objects: BTreeMap<u64, (Account, usize, Arc<Object>)>,
    by_id: HashMap<(Account, String, String), u64>,
    next: u64,
    bytes: usize,
}

impl Store {
    /// Keeps an object, in the place of one of that name if there is one.
    pub(super) fn put(&self, account: Account, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        let bytes = weight(&object);
        let mut shelves = self.lock();
        shelves.remove(account, &object.collection, &object.id);
        let number = shelves.next;
        shelves.next += 1;
        shelves.bytes += bytes;
        shelves.by_id.insert((account, object.collection.clone(), object.id.clone()), number);
        shelves.objects.insert(number, (account, bytes, Arc::clone(&object)));
        shelves.shrink();
        object
    }

    /// The object of that name, if it is this account's.
    pub(super) fn get(&self, account: Account, collection: &str, id: &str) -> Option<Arc<Object>> {
        let shelves = self.lock();
        let number = shelves.by_id.get(&(account, collection.to_owned(), id.to_owned()))?;
        shelves.objects.get(number).map(|(_, _, object)| Arc::clone(object))
    }

    /// Changes an object, in its place in the order; `None` where the account has none of that name.
    pub(super) fn update(&self, account: Account, collection: &str, id: &str, change: impl FnOnce(&mut Value)) -> Option<Arc<Object>> {
        let mut shelves = self.lock();
        let number = *shelves.by_id.get(&(account, collection.to_owned(), id.to_owned()))?;
        let (_, bytes, object) = shelves.objects.get_mut(&number)?;
        change(&mut Arc::make_mut(object).json);
        let (before, object) = (std::mem::replace(bytes, weight(object)), Arc::clone(object));
        shelves.bytes = shelves.bytes - before + weight(&object);
        shelves.shrink();
        Some(object)
    }

    /// Forgets an object with all that lies in it.
    pub(super) fn remove(&self, account: Account, collection: &str, id: &str) -> Option<Arc<Object>> {
        let mut shelves = self.lock();
        let removed = shelves.remove(account, collection, id)?;
        let within = format!("{collection}/{id}/");
        let inner = |(number, (owner, _, object)): (&u64, &(Account, usize, Arc<Object>))| {
            (*owner == account && object.collection.starts_with(&within)).then_some(*number)
        };
        let inner: Vec<u64> = shelves.objects.iter().filter_map(inner).collect();
        inner.into_iter().for_each(|number| drop(shelves.forget(number)));
        Some(removed)
    }

    /// A collection of an account, oldest first.
    pub(super) fn list(&self, account: Account, collection: &str) -> Vec<Arc<Object>> {
        let shelves = self.lock();
        let mine = shelves.objects.values().filter(|(owner, _, object)| *owner == account && object.collection == collection);
        mine.map(|(_, _, object)| Arc::clone(object)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn remove(&mut self, account: Account, collection: &str, id: &str) -> Option<Arc<Object>> {
        let number = *self.by_id.get(&(account, collection.to_owned(), id.to_owned()))?;
        self.forget(number)
    }

    fn shrink(&mut self) {
        while self.objects.len() > MOST_OBJECTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.objects.first_key_value().map(|(number, _)| *number) else { break };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, number: u64) -> Option<Arc<Object>> {
        let (account, bytes, object) = self.objects.remove(&number)?;
        self.bytes -= bytes;
        self.by_id.remove(&(account, object.collection.clone(), object.id.clone()));
        Some(object)
    }
}

/// What an object takes, roughly: a JSON tree is a few times as large as its text.
fn weight(object: &Object) -> usize {
    object.content.len() + 4 * object.json.to_string().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_there_for_its_account_alone() {
        let store = Store::default();
        store.put(1, Object::new("files", "file-a", json!({})));
        assert!(store.get(1, "files", "file-a").is_some());
        assert!(store.get(2, "files", "file-a").is_none() && store.get(1, "batches", "file-a").is_none());
        assert!(store.remove(2, "files", "file-a").is_none() && store.remove(1, "files", "file-a").is_some());
        assert!(store.list(1, "files").is_empty());
    }

    #[test]
    fn what_lies_in_an_object_goes_with_it() {
        let store = Store::default();
        store.put(1, Object::new("threads", "t", json!({})));
        store.put(1, Object::new("threads/t/messages", "m", json!({})));
        store.put(1, Object::new("threads/tt/messages", "m", json!({})));
        store.remove(1, "threads", "t");
        assert_eq!((store.list(1, "threads/t/messages").len(), store.list(1, "threads/tt/messages").len()), (0, 1));
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many_or_they_are_too_large() {
        let store = Store::default();
        for n in 0..=MOST_OBJECTS {
            store.put(1, Object::new("files", n.to_string(), json!({})));
        }
        assert!(store.get(1, "files", "0").is_none() && store.get(1, "files", "1").is_some());
        let large = Bytes::from(vec![0; MOST_BYTES - 100]);
        store.put(2, Object { content: large, ..Object::new("files", "large", json!({})) });
        assert!(store.list(1, "files").len() < 30 && store.get(2, "files", "large").is_some());
        let shelves = store.lock();
        assert_eq!(
            (shelves.objects.len(), shelves.objects.values().map(|(_, bytes, _)| bytes).sum()),
            (shelves.by_id.len(), shelves.bytes)
        );
    }
}
