//! The controllers: PipelineRuns, CustomRuns, Grants, GroupRoleBindings. Uses `revocation`, `credential`, `store`, `cluster`.
