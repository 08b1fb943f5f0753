//! Random histories: what the rows say of entitlement is what the Directory says, after every change; and a live run
//! is ended by exactly the change that takes its entitlement; and what an index answers is what looking at everyone
//! answers.

use serde_json::json;

use super::*;
use crate::{
    identity::{Filter, Mode, Resource},
    policy,
    store::{
        ListQuery, Start,
        sql::{entitlement::Judge, runs},
    },
};

/// Xorshift: the same histories on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

struct History {
    world: World,
    random: Random,
    users: Vec<ResourceId>,
    groups: Vec<ResourceId>,
    agents: Vec<ResourceId>,
    /// Runs by uid: live ones with their user and subjects.
    runs: BTreeMap<String, (ResourceId, Vec<SubjectRef>)>,
    names: usize,
    /// How many of all runs were an Agent's, and how many of those a change has ended.
    of_agents: (usize, usize),
    /// Resources that the filters have found.
    found: usize,
}

impl History {
    fn anyone(&mut self) -> ResourceId {
        if self.random.below(2) == 0 { self.actor() } else { self.random.pick(&self.groups) }
    }

    fn actor(&mut self) -> ResourceId {
        if self.random.below(3) == 0 { self.random.pick(&self.agents) } else { self.random.pick(&self.users) }
    }

    fn owners(&mut self) -> Vec<ResourceId> {
        let mut owners: Vec<_> = (0..self.random.below(4)).map(|_| self.random.pick(&self.users)).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    fn some(&mut self) -> Vec<ResourceId> {
        (0..=self.random.below(3)).map(|_| self.anyone()).collect()
    }

    /// A name that nobody has now; old names come back, so that subjects by name find other groups later.
    fn free_name(&mut self, kind: ResourceKind) -> String {
        loop {
            let name = format!("n{}", self.random.below(16));
            let directory = self.world.directory.lock().unwrap();
            let taken = match kind {
                ResourceKind::User => directory.user_by_name(&okta(), &name).is_some(),
                ResourceKind::Group => directory.group_by_name(&okta(), &name).is_some(),
                ResourceKind::Agent => directory.agent_by_name(&okta(), &name).is_some(),
            };
            if !taken {
                return name;
            }
        }
    }

    async fn step(&mut self) {
        let (user, group) = (self.random.pick(&self.users), self.random.pick(&self.groups));
        let agent = self.random.pick(&self.agents);
        let done = match self.random.below(22) {
            0..4 => {
                let op = MemberOp::Add(self.some());
                self.world.members(group, op).await.unwrap()
            }
            4..7 => {
                let op = MemberOp::Remove(self.some());
                self.world.members(group, op).await.unwrap()
            }
            7 => {
                let ops =
                    vec![MemberOp::Replace(self.some()), MemberOp::Remove(self.some()), MemberOp::Add(self.some())];
                self.world.change(ResourceKind::Group, group, move |edit| edit.members = ops).await.unwrap()
            }
            8 => {
                let name = self.free_name(ResourceKind::Group);
                let some = self.some();
                let change = move |edit: &mut Edit| {
                    edit.attributes.insert("displayName".into(), json!(name));
                    edit.members = vec![MemberOp::Remove(some)];
                };
                self.world.change(ResourceKind::Group, group, change).await.unwrap()
            }
            9 => {
                let name = self.free_name(ResourceKind::User);
                self.world.set(ResourceKind::User, user, "userName", json!(name)).await
            }
            10 | 11 => {
                let active = !self.world.directory.lock().unwrap().user(user).unwrap().active;
                self.world.set(ResourceKind::User, user, "active", json!(active)).await
            }
            12 => {
                let done = self.world.store.delete(&okta(), ResourceKind::Group, group).await.unwrap();
                self.groups.retain(|id| *id != group);
                let name = self.free_name(ResourceKind::Group);
                self.groups.push(self.world.group(&name, &[]).await);
                done
            }
            13 => {
                let name = self.free_name(ResourceKind::Agent);
                self.world.set(ResourceKind::Agent, agent, "agentUserName", json!(name)).await
            }
            14..17 => {
                let owners = self.owners();
                self.world.own(agent, &owners).await
            }
            17 => {
                let active = !self.world.directory.lock().unwrap().agent(agent).unwrap().who.active;
                self.world.set(ResourceKind::Agent, agent, "active", json!(active)).await
            }
            18 => {
                let done = self.world.store.delete(&okta(), ResourceKind::Agent, agent).await.unwrap();
                self.agents.retain(|id| *id != agent);
                let (name, owners) = (self.free_name(ResourceKind::Agent), self.owners());
                self.agents.push(self.world.agent(&name, &owners).await);
                done
            }
            19 => {
                let done = self.world.store.delete(&okta(), ResourceKind::User, user).await.unwrap();
                self.users.retain(|id| *id != user);
                let name = self.free_name(ResourceKind::User);
                self.users.push(self.world.user(&name).await);
                done
            }
            _ => {
                let emails = self.emails();
                self.world.set(ResourceKind::User, user, "emails", emails).await
            }
        };
        let ended: Vec<_> = done.revocations.runs.iter().map(|(run, _)| run.uid.clone()).collect();
        self.check_runs(&ended);
        self.compare().await;
        self.compare_filters().await;
        for _ in 0..4 {
            self.start_run().await;
        }
    }

    /// Up to three of few addresses, in whatever case; some are as long as an index holds them, and longer.
    fn emails(&mut self) -> Value {
        let one = |random: &mut Random| {
            let value = Self::address(random);
            json!({ "value": value, "type": random.pick(&["work", "home"]) })
        };
        (0..self.random.below(4)).map(|_| one(&mut self.random)).collect()
    }

    fn address(random: &mut Random) -> String {
        let name = random.pick(&["a@x.org", "A@x.org", "\u{e4}@x.org", "\u{c4}@X.ORG", "", "long"]);
        match name {
            "long" => format!("{}{}", "l".repeat(253), random.pick(&["", "o", "o1", "O2"])),
            name => name.to_owned(),
        }
    }

    /// What an index answers is what looking at everyone answers.
    async fn compare_filters(&mut self) {
        let address = Self::address(&mut self.random);
        let (member, group) = (self.anyone(), self.random.pick(&self.groups));
        let filters = [
            (ResourceKind::User, format!(r#"emails.value eq "{address}""#)),
            (ResourceKind::User, format!(r#"emails[type eq "work" and value eq "{address}"]"#)),
            (
                ResourceKind::User,
                format!(r#"active eq true and not (emails.value eq "a@x.org") and emails eq "{address}""#),
            ),
            (ResourceKind::Group, format!(r#"members.value eq "{member}""#)),
            (ResourceKind::Group, format!(r#"members[value eq "{member}"] and not (members.value eq "{group}")"#)),
            (ResourceKind::Group, format!(r#"members.value eq "{member}" and members.value ne "{group}""#)),
        ];
        for (kind, text) in filters {
            let filter = Filter::parse(&text, kind, Mode::Compat).unwrap();
            assert!(filter.indexable(kind).is_some(), "{text}");
            let found = self.list(kind, Some(filter.clone())).await;
            let mut expected = Vec::new();
            for resource in self.list(kind, None).await {
                let members = match kind {
                    ResourceKind::Group => self.world.store.members(resource.id).await.unwrap(),
                    ResourceKind::User | ResourceKind::Agent => Vec::new(),
                };
                let members: Vec<_> = members.iter().map(|member| member.id).collect();
                expected.extend(filter.matches(&resource, &members).then_some(resource));
            }
            assert_eq!(found, expected, "{text}");
            self.found += found.len();
        }
    }

    async fn list(&self, kind: ResourceKind, filter: Option<Filter>) -> Vec<Resource> {
        let start = Start::Index(1);
        let query = ListQuery { idp: okta(), kind, filter, start, count: 100, related: false };
        self.world.store.list(&query).await.unwrap().resources
    }

    fn entitled(&self, user: ResourceId, subjects: &[SubjectRef]) -> bool {
        let directory = self.world.directory.lock().unwrap();
        let is_active = match directory.agent(user) {
            Some(agent) => agent.who.active && directory.active_owners(agent).next().is_some(),
            None => directory.user(user).is_some_and(|user| user.active),
        };
        is_active && !policy::matching(&directory, user, subjects).is_empty()
    }

    /// Exactly those runs ended whose user the Directory calls not entitled now.
    fn check_runs(&mut self, ended: &[String]) {
        let lost: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, (user, subjects))| !self.entitled(*user, subjects))
            .map(|(uid, _)| uid.clone())
            .collect();
        // A leaver's runs that ended lately for less are ended again; those we know to be over.
        let mut ended: Vec<_> = ended.iter().filter(|uid| self.runs.contains_key(*uid)).cloned().collect();
        ended.sort();
        assert_eq!(ended, lost);
        self.of_agents.1 += lost.iter().filter(|uid| self.agents.contains(&self.runs[*uid].0)).count();
        self.runs.retain(|uid, _| !lost.contains(uid));
    }

    async fn compare(&mut self) {
        let mut cases = Vec::new();
        for user in self.users.iter().chain(&self.agents).copied().collect::<Vec<_>>() {
            for _ in 0..2 {
                let subjects = self.subjects();
                let expected = self.entitled(user, &subjects);
                cases.push((user, subjects, expected));
            }
        }
        let judged = self.world.store.read(move |conn| {
            let mut judge = Judge::new(conn);
            for (user, subjects, expected) in cases {
                let found = judge.loss(user, &subjects)?.is_none();
                assert_eq!(found, expected, "{user} {subjects:?}");
            }
            Ok(())
        });
        judged.await.unwrap();
    }

    fn subjects(&mut self) -> Vec<SubjectRef> {
        (0..=self.random.below(2))
            .map(|_| match self.random.below(7) {
                0 => SubjectRef::UserId(self.random.pick(&self.users)),
                1 => SubjectRef::UserName(okta(), format!("N{}", self.random.below(16))),
                2 => SubjectRef::AgentName(okta(), format!("N{}", self.random.below(16))),
                3 => SubjectRef::GroupId(self.random.pick(&self.groups)),
                _ => SubjectRef::GroupName(okta(), format!("N{}", self.random.below(16))),
            })
            .collect()
    }

    async fn start_run(&mut self) {
        let (user, mut subjects) = (self.actor(), self.subjects());
        if self.agents.contains(&user) {
            // It must be two of them at once, itself and by an owner.
            (0..5).for_each(|_| subjects.extend(self.subjects()));
        }
        if !self.entitled(user, &subjects) {
            return;
        }
        self.names += 1;
        self.of_agents.0 += usize::from(self.agents.contains(&user));
        let uid = format!("run-{:04}", self.names);
        let now = self.world.now();
        let run = RunRecord {
            uid: uid.clone(),
            namespace: "prod".into(),
            name: uid.clone(),
            user,
            idp: okta(),
            user_name: String::new(),
            policy: policy(),
            decision_id: String::new(),
            event: EventFacts::default(),
            redeemed_at: now,
            start_by: now,
            max_run_duration: 0,
            started_at: None,
            ended_at: None,
            ended_reason: None,
            cancel_pending: false,
        };
        let facts = PolicyFacts { subjects: subjects.clone(), generation: 1 };
        self.world.store.write(move |tx| runs::insert(tx, &run, &facts)).await.unwrap();
        self.runs.insert(uid, (user, subjects));
    }
}

#[tokio::test]
async fn the_rows_and_the_directory_agree_after_every_change() {
    for seed in 1..=4_u64 {
        let world = World::new().await;
        let mut history = History {
            world,
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            users: Vec::new(),
            groups: Vec::new(),
            agents: Vec::new(),
            runs: BTreeMap::new(),
            names: 0,
            of_agents: (0, 0),
            found: 0,
        };
        for n in 0..6 {
            let user = history.world.user(&format!("n{n}")).await;
            history.users.push(user);
            let group = history.world.group(&format!("n{n}"), &[user]).await;
            history.groups.push(group);
        }
        for n in 0..4 {
            let owners = history.owners();
            let agent = history.world.agent(&format!("n{n}"), &owners).await;
            history.agents.push(agent);
        }
        for _ in 0..240 {
            history.step().await;
        }
        assert!(history.found > 100, "the filters found too few to say anything: {}", history.found);
        assert!(history.names > 40, "too few runs to say anything: {}", history.names);
        assert!(history.of_agents.0 > 3 && history.of_agents.1 > 2, "too few of Agents: {:?}", history.of_agents);
        history.world.audited(0).await;
        reloaded_is_the_same(&history).await;
    }
}

/// The Directory that a restart loads is the one that the feed built.
async fn reloaded_is_the_same(history: &History) {
    let loaded = loaded(&history.world.store).await.unwrap();
    let fed = history.world.directory.lock().unwrap().clone();
    assert_eq!(loaded.seq(), fed.seq());
    for id in history.users.iter().chain(&history.groups).chain(&history.agents) {
        assert_eq!(loaded.user(*id), fed.user(*id));
        assert_eq!(loaded.agent(*id), fed.agent(*id));
        assert_eq!(loaded.group(*id), fed.group(*id));
        assert_eq!(loaded.groups_of(*id), fed.groups_of(*id));
    }
}
