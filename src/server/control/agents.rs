//! Agents, as the Directory has them.

use axum::{
    Json,
    extract::{Path, Query, State},
};

use super::{
    ControlState, Refusal,
    people::{Asked, agents_called, exactly_one, user_view},
    walk,
    wire::{AgentView, Listed},
};
use crate::{
    directory::{Agent, Directory},
    identity::ResourceKind,
};

pub(super) async fn list(
    State(control): State<ControlState>,
    asked: Asked,
) -> Result<Json<Listed<AgentView>>, Refusal> {
    let Query(query) = asked?;
    let (found, next) = walk::page(&control, ResourceKind::Agent, &query).await?;
    let directory = control.directory.load_full();
    let agents = found.iter().filter_map(|agent| directory.agent(agent.id)).map(|agent| view(&directory, agent));
    Ok(Json(Listed { items: agents.collect(), next }))
}

pub(super) async fn show(
    State(control): State<ControlState>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Json<AgentView>, Refusal> {
    let Query(query) = asked?;
    let directory = control.directory.load_full();
    let found = agents_called(&directory, &name, query.idp.as_deref());
    let agent = exactly_one("agent", &name, &found, |agent| &agent.who.idp)?;
    Ok(Json(view(&directory, agent)))
}

fn view(directory: &Directory, agent: &Agent) -> AgentView {
    let owners = agent.owners.iter().filter_map(|owner| directory.user(*owner));
    let owners = owners.map(|owner| owner.user_name.to_string()).collect();
    AgentView { who: user_view(directory, &agent.who), owners }
}
