//! Which of a task's CustomRuns one is. Pure.
//!
//! Under a matrix Tekton makes a CustomRun for each combination and tells its number only by the name that it gives
//! (`getNewRunNames` in Tekton's pkg/reconciler/pipelinerun/resources). The order of `childReferences` tells nothing:
//! Tekton puts whatever it adopts among them.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::tekton::{ChildReference, PipelineTask},
    credential::IssueError,
};

/// Longest name that Tekton gives (knative's `kmeta.ChildName`); a longer one is cut and has a hash in it.
const LONGEST: usize = 63;
/// What is left of a name that is cut, with what follows it, beside the hash.
const KEPT: usize = 31;

/// Number of the CustomRun of this name among those of a run's task; 0 without a matrix.
pub fn index(custom: &str, run: &str, task: &PipelineTask, children: &[ChildReference]) -> Result<i64, IssueError> {
    let Some(matrix) = &task.matrix else { return Ok(0) };
    let matrix: Matrix = serde_json::from_value(matrix.clone())
        .map_err(|error| IssueError::Refused(format!("the matrix of task {:?} can't be read: {error}", task.name)))?;
    let count = match matrix.combinations() {
        Some(count) => count,
        None => made(custom, task, children)?,
    };
    let not_one = || {
        IssueError::Refused(format!(
            "CustomRun {custom:?} is none of the {count} that the matrix of task {:?} makes: it is not the run's own",
            task.name
        ))
    };
    if count <= 1 {
        return if is_child(custom, run, &format!("-{}", task.name)) { Ok(0) } else { Err(not_one()) };
    }
    let digits = custom.rsplit_once('-').map(|(_, digits)| digits).unwrap_or_default();
    let index: usize = digits.parse().map_err(|_| not_one())?;
    let is_ours = digits == index.to_string() && is_child(custom, run, &format!("-{}-{index}", task.name));
    if !is_ours || index >= count {
        return Err(not_one());
    }
    i64::try_from(index).map_err(|_| not_one())
}

/// Whether Tekton gives this name. Of one that was cut only what isn't hash is compared.
fn is_child(custom: &str, run: &str, suffix: &str) -> bool {
    let whole = format!("{run}{suffix}");
    if whole.len() <= LONGEST {
        return custom == whole;
    }
    let kept: String = run.chars().take(KEPT.saturating_sub(suffix.len())).collect();
    let number = suffix.rsplit_once('-').map(|(_, last)| last).filter(|last| last.parse::<usize>().is_ok());
    custom.len() <= LONGEST
        && custom.starts_with(&kept)
        && number.is_none_or(|number| custom.ends_with(&format!("-{number}")))
}

/// How many there are by Tekton's own list. It writes it at the end of the reconciliation that makes them.
fn made(custom: &str, task: &PipelineTask, children: &[ChildReference]) -> Result<usize, IssueError> {
    let ours = || children.iter().filter(|child| child.kind == "CustomRun" && child.pipeline_task_name == task.name);
    if !ours().any(|child| child.name == custom) {
        return Err(IssueError::NotYet("the run does not list this CustomRun yet"));
    }
    Ok(ours().count())
}

/// A matrix of a resolved Pipeline.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Matrix {
    params: Vec<Param>,
    include: Vec<Include>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Include {
    params: Vec<Param>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Param {
    name: String,
    value: Value,
}

impl Matrix {
    /// As Tekton counts them (`CountCombinations`); nothing where another task's result decides.
    fn combinations(&self) -> Option<usize> {
        if self.params.is_empty() {
            return Some(self.include.len());
        }
        let mut count: usize = 1;
        for param in &self.params {
            count = count.saturating_mul(param.values()?.len().max(1));
        }
        for include in &self.include {
            for param in &include.params {
                let Some(known) = self.params.iter().find(|known| known.name == param.name) else { continue };
                if known.values()?.contains(&param.value) {
                    break;
                }
                count = count.saturating_add(1);
            }
        }
        Some(count)
    }
}

impl Param {
    /// Its values, unless a whole array is still to come.
    fn values(&self) -> Option<&[Value]> {
        let values = self.value.as_array()?;
        let to_come = |value: &Value| value.as_str().is_some_and(|text| text.contains("[*])"));
        (!values.iter().any(to_come)).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(matrix: Value) -> PipelineTask {
        PipelineTask { name: "credential".into(), matrix: Some(matrix), ..PipelineTask::default() }
    }

    fn two_by_two() -> PipelineTask {
        task(json!({"params": [{"name": "stage", "value": ["a", "b"]}, {"name": "region", "value": ["x", "y"]}]}))
    }

    fn refused(found: Result<i64, IssueError>) -> String {
        match found {
            Err(IssueError::Refused(why)) => why,
            other => panic!("it should be refused: {other:?}"),
        }
    }

    #[test]
    fn the_name_that_tekton_gives_tells_the_number() {
        for number in 0..4 {
            assert_eq!(index(&format!("run-credential-{number}"), "run", &two_by_two(), &[]).unwrap(), number);
        }
        let plain = PipelineTask { name: "credential".into(), ..PipelineTask::default() };
        assert_eq!(index("any", "run", &plain, &[]).unwrap(), 0);
        let one = task(json!({"params": [{"name": "stage", "value": ["a"]}]}));
        assert_eq!(index("run-credential", "run", &one, &[]).unwrap(), 0);
    }

    #[test]
    fn a_number_beyond_the_matrix_or_a_foreign_name_is_refused() {
        for name in
            ["run-credential-4", "run-credential-00", "run-credential", "other-credential-1", "run-credential-+1"]
        {
            assert!(refused(index(name, "run", &two_by_two(), &[])).contains("none of the 4"), "{name}");
        }
    }

    #[test]
    fn a_name_that_was_cut_is_known_by_what_is_left_of_it() {
        let run = "a-run-with-a-name-that-is-so-long-that-tekton-has-to-cut-it-to-fit";
        let cut = format!("{}0123456789abcdef0123456789abcdef-credential-3", &run[..KEPT - "-credential-3".len()]);
        assert_eq!(cut.len(), LONGEST);
        assert_eq!(index(&cut, run, &two_by_two(), &[]).unwrap(), 3);
        refused(index(&cut.replace("-3", "-4"), run, &two_by_two(), &[]));
        refused(index(&cut.replace("a-run", "b-run"), run, &two_by_two(), &[]));
    }

    #[test]
    fn combinations_are_counted_as_tekton_counts_them() {
        let count = |matrix: Value| serde_json::from_value::<Matrix>(matrix).unwrap().combinations();
        let param = |name: &str, value: Value| json!({"name": name, "value": value});
        let params = json!([param("stage", json!(["a", "b"])), param("region", json!(["x", "y", "z"]))]);
        assert_eq!(count(json!({"params": params})), Some(6));
        let include = json!([
            {"params": [param("stage", json!("a")), param("flag", json!("-v"))]},
            {"params": [param("stage", json!("c"))]},
            {"params": [param("flag", json!("-v"))]},
        ]);
        assert_eq!(count(json!({"params": params, "include": include})), Some(7));
        assert_eq!(count(json!({"include": include})), Some(3));
        assert_eq!(count(json!({"params": [param("stage", json!("$(tasks.list.results.stages[*])"))]})), None);
        assert_eq!(count(json!({"params": [param("stage", json!(["$(tasks.list.results.stages[*])"]))]})), None);
    }

    #[test]
    fn where_a_result_decides_how_many_there_are_the_runs_own_list_tells() {
        let task = task(json!({"params": [{"name": "stage", "value": "$(tasks.list.results.stages[*])"}]}));
        let child = |number: usize| ChildReference {
            kind: "CustomRun".into(),
            name: format!("run-credential-{number}"),
            pipeline_task_name: "credential".into(),
        };
        assert!(matches!(index("run-credential-1", "run", &task, &[]), Err(IssueError::NotYet(_))));
        assert_eq!(index("run-credential-1", "run", &task, &[child(0), child(1)]).unwrap(), 1);
        refused(index("run-credential-7", "run", &task, &[child(0), child(7)]));
    }
}
