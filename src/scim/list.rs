//! GET of a list, and POST `.search` (RFC 7644 §3.4.2, §3.4.3), by index or by cursor (RFC 9865).

use super::{
    ScimState,
    answer::{self, List},
    auth::Caller,
    body::Json,
    cursor::{Cursor, Walk},
    error::Failure,
    params::{Paging, Params},
};
use crate::{
    identity::{Filter, Projection, ResourceKind, ScimError, ScimType, Shown, Sort},
    store::{ListQuery, Page, Start},
};
use axum::{extract::State, response::Response};

pub(super) async fn list(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    params: Params,
) -> Result<Response, Failure> {
    Lister::new(&state, &caller, &params, &[kind])?.list().await
}

pub(super) async fn search(
    kind: ResourceKind,
    state: State<ScimState>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Failure> {
    let params = Params::from_search(body, caller.mode)?;
    list(kind, state, caller, params).await
}

/// Over all types, as a query of the root (RFC 7644 §3.4.2.1): users, then groups, then Agents.
pub(super) async fn list_all(
    State(state): State<ScimState>,
    caller: Caller,
    params: Params,
) -> Result<Response, Failure> {
    Lister::new(&state, &caller, &params, state.settings.kinds())?.list().await
}

/// The same by POST (RFC 7644 §3.4.3).
pub(super) async fn search_all(state: State<ScimState>, caller: Caller, Json(body): Json) -> Result<Response, Failure> {
    let params = Params::from_search(body, caller.mode)?;
    list_all(state, caller, params).await
}

/// Lists one type after the other as if they were one list.
struct Lister<'a> {
    state: &'a ScimState,
    caller: &'a Caller,
    params: &'a Params,
    parts: Vec<(ResourceKind, Option<Filter>)>,
    /// Of each part.
    projections: Vec<Projection>,
    sort: Option<Sort>,
}

impl<'a> Lister<'a> {
    /// What a filter asks for must be an attribute of one of the types.
    fn new(
        state: &'a ScimState,
        caller: &'a Caller,
        params: &'a Params,
        kinds: &[ResourceKind],
    ) -> Result<Self, Failure> {
        let limits = state.settings.limits.text;
        let (mut parts, mut unknown) = (Vec::new(), None);
        for kind in kinds {
            let parse = |text| Filter::parse_among(limits, text, *kind, caller.mode, kinds);
            match params.filter.as_deref().map(parse).transpose() {
                // Nothing of a type has to be read to see that none of it is asked for.
                Ok(Some(filter)) if kinds.len() > 1 && filter.settled() == Some(false) => {}
                Ok(filter) => parts.push((*kind, filter)),
                Err(error) => unknown = Some(error),
            }
        }
        if let (Some(error), []) = (unknown, parts.as_slice()) {
            return Err(error.into());
        }
        let sort = match parts.as_slice() {
            [(kind, _)] => params.sort(*kind)?,
            _ if params.is_sorted() => {
                let detail = "expected no sortBy over several types: sort at /Users/.search or /Groups/.search";
                return Err(ScimError::bad(ScimType::InvalidValue, detail).into());
            }
            _ => None,
        };
        let projections = parts.iter().map(|(kind, _)| params.projection(*kind)).collect();
        Ok(Self { state, caller, params, parts, projections, sort })
    }

    async fn list(&self) -> Result<Response, Failure> {
        let list = match self.params.paging(self.state.settings.limits.page)? {
            Paging::Index(start, count) => self.by_index(start, count).await?,
            Paging::Cursor(text, count) => self.by_cursor(text, count).await?,
        };
        Ok(answer::list(&list))
    }

    async fn by_index(&self, start: usize, count: usize) -> Result<List<Shown<'_>>, Failure> {
        let (mut total, mut resources) = (0, Vec::new());
        for (part, projection) in self.parts.iter().zip(&self.projections) {
            let begin = start.saturating_sub(total).max(1);
            let begin = match &self.sort {
                Some(sort) => Start::Sorted(sort.clone(), begin),
                None => Start::Index(begin),
            };
            let page = self.page(part, projection, begin, count.saturating_sub(resources.len())).await?;
            total += page.total.unwrap_or_default();
            resources.extend(self.shown(page, projection));
        }
        Ok(List { total: Some(total), start_index: Some(start), next_cursor: None, resources })
    }

    async fn by_cursor(&self, text: &str, count: usize) -> Result<List<Shown<'_>>, Failure> {
        let (now, walk) = ((self.state.clock)(), Walk::new(&self.caller.idp, &self.parts));
        let from = walk.read(text, now, self.state.settings.cursor_timeout)?;
        let (mut total, mut resources, mut next) = (Some(0), Vec::new(), None);
        for (number, (part, projection)) in (0_u8..).zip(self.parts.iter().zip(&self.projections)) {
            // Of those that are behind, and of those for which the page has no room, only the number is asked.
            let place = match number.cmp(&from.part) {
                std::cmp::Ordering::Less => i64::MAX,
                std::cmp::Ordering::Equal => from.place,
                std::cmp::Ordering::Greater => 0,
            };
            let page = self.page(part, projection, Start::After(place), count.saturating_sub(resources.len())).await?;
            total = total.zip(page.total).map(|(before, more)| before + more);
            next = next.or(page.next.map(|place| Cursor { part: number, place }));
            resources.extend(self.shown(page, projection));
        }
        let next_cursor = next.map(|cursor| walk.write(cursor, now));
        Ok(List { total, start_index: None, next_cursor, resources })
    }

    async fn page(
        &self,
        (kind, filter): &(ResourceKind, Option<Filter>),
        projection: &Projection,
        start: Start,
        count: usize,
    ) -> Result<Page, Failure> {
        let related = answer::shows_relations(*kind, projection);
        let (idp, filter) = (self.caller.idp.clone(), filter.clone());
        let query = ListQuery { idp, kind: *kind, filter, start, count, related };
        Ok(self.state.store.list(&query).await?)
    }

    fn shown<'p>(&'p self, page: Page, projection: &'p Projection) -> impl Iterator<Item = Shown<'p>> {
        let relations = page.relations.into_iter().chain(std::iter::repeat_with(Vec::new));
        let base = &*self.state.base;
        page.resources.into_iter().zip(relations).map(move |(resource, relations)| Shown {
            resource,
            relations,
            base,
            projection,
        })
    }
}
