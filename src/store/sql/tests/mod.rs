//! The store by its promises. `World` is a store with a Directory that its feed keeps, and a clock that tests own.

mod agents;
mod audit_log;
mod differential;
mod durability;
mod grants;
mod leavers;
mod lists;
mod people;
mod runs;
mod tickets;

pub use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

pub use chrono::{DateTime, Duration, Utc};
pub use serde_json::{Map, Value, json};
pub use tempfile::TempDir;
pub use uuid::Uuid;

pub(crate) use super::conn::params;
pub use super::{SqlStore, tx::Tx};
pub use crate::{
    api::ObjectRef,
    audit,
    config::StoreUrl,
    directory::{Builder, Change, Directory, SubjectRef},
    identity::{Edit, IdpName, MemberOp, ResourceId, ResourceKind},
    policy::PolicyFacts,
    store::{
        Activated, Begun, DecisionOutcome, EventFacts, GrantId, GrantRecord, Issued, NewDecision, NewGrant, NewTicket,
        Provisioned, RedeemPolicy, RedeemRequest, Redemption, RunRecord, Store, StoreError, testing,
    },
    ticket::SecretHash,
};

pub struct World {
    pub store: Arc<SqlStore>,
    pub directory: Arc<Mutex<Directory>>,
    /// Sizes of the batches that were published.
    pub published: Arc<Mutex<Vec<usize>>>,
    pub now: Arc<Mutex<DateTime<Utc>>>,
    pub url: StoreUrl,
    /// Removes the files at the end, for a store of its own.
    pub dir: Option<TempDir>,
}

pub fn okta() -> IdpName {
    IdpName::from("okta")
}

/// The Directory that a store feeds.
pub async fn loaded(store: &SqlStore) -> Result<Directory, StoreError> {
    let builder = Arc::new(Mutex::new(Builder::default()));
    let (attributes, into) = (Builder::default().attributes(), Arc::clone(&builder));
    store.feed_directory(attributes, Box::new(move |seq, parts| into.lock().unwrap().add(seq, parts))).await?;
    let built = std::mem::take(&mut *builder.lock().unwrap());
    Ok(built.finish())
}

impl World {
    /// A new store with the IdP `okta`, on the database that the tests are to use.
    pub async fn new() -> Self {
        Self::beginning(testing::url).await
    }

    /// A new store with the IdP `okta`, in a file.
    pub async fn in_a_file() -> Self {
        Self::beginning(|path| StoreUrl::Sqlite(path.to_owned())).await
    }

    async fn beginning(place: impl FnOnce(&Path) -> StoreUrl) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self::open(place(&dir.path().join("store.db"))).await.unwrap();
        world.dir = Some(dir);
        world.store.create_token(&okta(), SecretHash::of("okta"), None).await.unwrap();
        world
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        match &self.url {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => panic!("no file"),
        }
    }

    /// The store at a place, with the Directory that it loads.
    pub async fn open(url: StoreUrl) -> Result<Self, StoreError> {
        let start = DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap();
        let now = Arc::new(Mutex::new(start));
        let directory = Arc::new(Mutex::new(Directory::default()));
        let published = Arc::new(Mutex::new(Vec::new()));
        let (clock, feed, batches) = (now.clone(), directory.clone(), published.clone());
        let store = SqlStore::open(
            &url,
            Arc::new(move || *clock.lock().unwrap()),
            Box::new(move |seq, changes: &[Change]| {
                batches.lock().unwrap().push(changes.len());
                feed.lock().unwrap().apply(seq, changes);
            }),
        )?;
        let loaded = loaded(&store).await?;
        *directory.lock().unwrap() = loaded;
        Ok(Self { store, directory, published, now, url, dir: None })
    }

    pub fn now(&self) -> DateTime<Utc> {
        super::rows::whole_micros(*self.now.lock().unwrap())
    }

    pub fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    pub async fn user(&self, name: &str) -> ResourceId {
        self.store.create(&okta(), ResourceKind::User, user(name)).await.unwrap().resource.id
    }

    pub async fn group(&self, name: &str, members: &[ResourceId]) -> ResourceId {
        let edit = Edit { members: vec![MemberOp::Add(members.to_vec())], ..group(name) };
        self.store.create(&okta(), ResourceKind::Group, edit).await.unwrap().resource.id
    }

    pub async fn change(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        change: impl FnOnce(&mut Edit) + Send + 'static,
    ) -> Result<Provisioned, StoreError> {
        let edit = Box::new(move |stored: &crate::identity::Resource| {
            let mut edit = Edit {
                external_id: stored.external_id.clone(),
                attributes: stored.attributes.clone(),
                ..Edit::default()
            };
            change(&mut edit);
            Ok(edit)
        });
        self.store.edit(&okta(), kind, id, edit).await
    }

    pub async fn set(&self, kind: ResourceKind, id: ResourceId, key: &str, value: Value) -> Provisioned {
        let key = key.to_owned();
        let set = move |edit: &mut Edit| drop(edit.attributes.insert(key, value));
        self.change(kind, id, set).await.unwrap()
    }

    pub async fn members(&self, group: ResourceId, op: MemberOp) -> Result<Provisioned, StoreError> {
        self.change(ResourceKind::Group, group, move |edit| edit.members.push(op)).await
    }

    /// An allowed decision with a ticket named `ticket` for the event `event`.
    pub async fn decide(&self, user: ResourceId, ticket: &str, event: &str) -> DecisionOutcome {
        self.store.record_decision(decision(self.now(), user, ticket, event)).await.unwrap()
    }

    /// A run with this uid, redeemed with a ticket of its own.
    pub async fn run(&self, uid: &str, user: ResourceId, subjects: &[SubjectRef]) -> RunRecord {
        assert_eq!(self.decide(user, uid, uid).await, DecisionOutcome::Recorded);
        match self.store.redeem(request(self.now(), uid, uid, subjects)).await.unwrap() {
            Redemption::Redeemed(run) => run,
            Redemption::Refused(sentence) => panic!("{sentence}"),
        }
    }

    pub async fn pending(&self, run: &str, task: &str) -> GrantRecord {
        match self.store.begin_grant(new_grant(run, task)).await.unwrap() {
            Begun::Pending(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    pub async fn grant(&self, run: &str, task: &str) -> GrantRecord {
        let id = self.pending(run, task).await.id;
        match self.store.activate_grant(id, issued(self.now())).await.unwrap() {
            Activated::Active(grant) => grant,
            Activated::Revoking(grant) => panic!("{grant:?}"),
        }
    }

    pub async fn stored(&self, id: GrantId) -> GrantRecord {
        self.store.grant(id).await.unwrap().unwrap()
    }

    /// All kinds of audit rows after `seq`, once the whole chain has been verified.
    pub async fn audited(&self, after: i64) -> Vec<audit::Kind> {
        let mut verifier = audit::Verifier::default();
        let rows = self.store.audit_rows(0, usize::MAX).await.unwrap();
        for row in &rows {
            verifier.push(row).unwrap();
        }
        rows.into_iter().filter(|row| row.seq > after).map(|row| row.entry.kind).collect()
    }

    pub async fn audit_seq(&self) -> i64 {
        self.store.audit_rows(0, usize::MAX).await.unwrap().last().map_or(0, |row| row.seq)
    }

    pub async fn epoch(&self) -> i64 {
        self.store.write(|tx| tx.epoch()).await.unwrap()
    }
}

pub fn attributes(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn user(name: &str) -> Edit {
    Edit { attributes: attributes(&json!({ "userName": name, "active": true })), ..Edit::default() }
}

pub fn group(name: &str) -> Edit {
    Edit { attributes: attributes(&json!({ "displayName": name })), ..Edit::default() }
}

pub fn in_group(name: &str) -> SubjectRef {
    SubjectRef::GroupName(okta(), name.into())
}

pub fn policy() -> ObjectRef {
    ObjectRef { name: "deploy".into(), uid: "policy".into(), generation: Some(1) }
}

pub fn decision(at: DateTime<Utc>, user: ResourceId, ticket: &str, event: &str) -> NewDecision {
    NewDecision {
        id: format!("decision-{ticket}"),
        at,
        allowed: true,
        code: 0,
        reason: "allowed".into(),
        reason_code: "Allowed".into(),
        trace: Vec::new(),
        user: Some(user),
        namespace: "prod".into(),
        trigger: "prod/push".into(),
        policy: Some(policy()),
        event: EventFacts { source: "github".into(), event: "push".into(), ..EventFacts::default() },
        ticket: Some(NewTicket {
            hash: SecretHash::of(ticket),
            expires_at: at + Duration::minutes(5),
            spend_key: SecretHash::of(event),
        }),
    }
}

pub fn request(created_at: DateTime<Utc>, uid: &str, ticket: &str, subjects: &[SubjectRef]) -> RedeemRequest {
    let facts = PolicyFacts { subjects: subjects.to_vec(), generation: 1 };
    let live = RedeemPolicy { policy: policy(), facts, misfit: None, max_start_delay: 3600, max_run_duration: 7200 };
    RedeemRequest {
        ticket: Some(SecretHash::of(ticket)),
        uid: uid.into(),
        namespace: "prod".into(),
        name: format!("run-{uid}"),
        created_at,
        policies: BTreeMap::from([(policy().uid, live)]),
    }
}

pub fn new_grant(run: &str, task: &str) -> NewGrant {
    NewGrant {
        id: GrantId(Uuid::new_v4()),
        run_uid: run.into(),
        task: task.into(),
        index: 0,
        provider: "kubernetes".into(),
        template: ObjectRef { name: "deploy-prod".into(), uid: "template".into(), generation: Some(3) },
        facts: json!({ "roles": ["deployer"] }),
    }
}

pub fn issued(now: DateTime<Utc>) -> Issued {
    Issued {
        expires_at: now + Duration::minutes(15),
        secret_name: "deploy-credential".into(),
        facts: json!({ "roles": ["deployer"], "serviceAccount": "grant-1" }),
    }
}
