//! The ClusterInterceptor: Tekton's request and response, event kinds, signatures, `decide()`. Uses `policy`, `directory`, `store`, `ticket`.
