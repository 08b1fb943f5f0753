use super::super::{Component, Enabled, Omissible, ScimMode, Span};
use super::*;

fn load(yaml: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    from_parts("config.yaml", yaml, &env).map_err(|error| error.to_string())
}

#[test]
fn nothing_at_all_is_a_configuration_that_works() {
    let config = load("", &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(load("# nothing\n", &[]).unwrap(), config);
    assert_eq!(config.external_url(), "http://127.0.0.1:8080");
    assert_eq!(config.control_path().to_str(), Some("scim-tekton.sock"));
    assert_eq!(config.components.len(), 4);
}

#[test]
fn a_written_default_is_read_back() {
    let yaml = serde_saphyr::to_string(&Config::default()).unwrap();
    assert_eq!(load(&yaml, &[]).unwrap(), Config::default());
}

#[test]
fn every_concern_can_be_set() {
    let config = load(
        r#"
store: sqlite:///var/lib/scim-tekton/scim-tekton.db
listen: {http: "127.0.0.1:1", control: /run/c.sock, tls: true}
externalUrl: https://scim.example.com/base
components: [issuer, scim]
idps:
- name: okta
  kubernetes: {usernamePrefix: "okta:"}
  scim: {mode: strict, patchAnswer: noContent}
linkAuthority:
  github.com: {idp: okta, attribute: "urn:acme:2.0:User:githubId"}
scim: {revocationWait: 10s, cursorTimeout: 5m, bulk: {maxOperations: 50, maxPayloadSize: 2097152}}
issuer:
  clusterId: prod-1
  clients: [{id: registry, secretEnv: REGISTRY_SECRET, audience: registry.example.com}]
targets:
  aws: {audience: sts.amazonaws.com, namespaces: [prod]}
kubernetes: {enabled: false}
"#,
        &[],
    )
    .unwrap();
    assert_eq!(config.external_url(), "https://scim.example.com/base");
    assert_eq!(config.components, [Component::Scim, Component::Issuer].into());
    assert_eq!(config.scim.revocation_wait, Span::seconds(10));
    assert_eq!(config.scim.cursor_timeout, Span::minutes(5));
    assert_eq!((config.scim.bulk.max_operations, config.scim.bulk.max_payload_size), (50, 2 * 1024 * 1024));
    assert_eq!(config.kubernetes.enabled, Enabled::False);
    assert_eq!(config.idps[0].kubernetes.username_attribute, "userName");
    assert_eq!(config.idps[0].scim.mode, ScimMode::Strict);
    let [authority] = &config.link_authorities()[..] else { panic!("one authority") };
    assert_eq!((authority.schema.as_str(), authority.attribute.as_str()), ("urn:acme:2.0:User", "githubId"));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    for (yaml, key, nearest) in [
        ("extrenalUrl: x", "extrenalUrl", "externalUrl"),
        ("listen: {htpp: '1.2.3.4:5'}", "listen.htpp", "listen.http"),
        ("idps: [{name: okta, kubernets: {}}]", "idps.0.kubernets", "idps[].kubernetes"),
        ("targets: {aws: {audience: x, namespace: []}}", "targets.aws.namespace", "targets.NAME.namespaces"),
    ] {
        let error = load(yaml, &[]).unwrap_err();
        assert!(error.contains(&format!("unknown key `{key}`; the nearest known one is `{nearest}`")), "{error}");
    }
}

#[test]
fn a_wrong_value_is_told_with_its_line() {
    let error = load("log:\n  format: text\nticket:\n  ttl: 5 minutes\n", &[]).unwrap_err();
    assert!(error.contains("line 4") || error.contains("4:"), "{error}");
    assert!(error.contains("such as 90s, 5m, 2h"), "{error}");
    let error = load("a: b: c", &[]).unwrap_err();
    assert!(error.contains("config.yaml"), "{error}");
}

#[test]
fn every_key_is_an_environment_variable_that_wins() {
    let config = load(
        "store: sqlite://a.db\nlisten: {http: '127.0.0.1:1'}",
        &[
            ("SCIM_TEKTON_STORE", "sqlite://b.db"),
            ("SCIM_TEKTON_LISTEN_HTTP", "127.0.0.1:2"),
            ("SCIM_TEKTON_LISTEN_TLS", "true"),
            ("SCIM_TEKTON_EXTERNAL_URL", "https://x.example"),
            ("SCIM_TEKTON_COMPONENTS", "scim, issuer"),
            ("SCIM_TEKTON_SCIM_REVOCATION_WAIT", "1m"),
            ("SCIM_TEKTON_CLUSTER_INTERCEPTOR_NAME", "scim-2"),
            ("SCIM_TEKTON_KUBERNETES_ENABLED", "true"),
            ("SCIM_TEKTON_ISSUER_CLUSTER_ID", "42"),
            ("SCIM_TEKTON_TARGETS", "{aws: {audience: sts.amazonaws.com}}"),
            ("SCIM_TEKTON_IDPS", "[{name: okta}]"),
            ("SCIM_TEKTON_POLICIES", "./policies"),
            ("POD_NAMESPACE", "elsewhere"),
        ],
    )
    .unwrap();
    assert_eq!(config.store.to_string(), "sqlite://b.db");
    assert_eq!(config.listen.http.port(), 2);
    assert!(config.listen.tls);
    assert_eq!(config.components.len(), 2);
    assert_eq!(config.scim.revocation_wait, Span::minutes(1));
    assert_eq!(config.cluster_interceptor.name, "scim-2");
    assert_eq!(config.kubernetes.enabled, Enabled::True);
    assert_eq!(config.issuer.cluster_id.as_deref(), Some("42"));
    assert_eq!(config.targets["aws"].audience, "sts.amazonaws.com");
    assert_eq!(config.idps.len(), 1);
    assert_eq!(config.install_namespace, "elsewhere");
}

#[test]
fn a_wrong_or_unknown_variable_is_named() {
    let error = load("", &[("SCIM_TEKTON_TICKET_TTL", "soon")]).unwrap_err();
    assert!(error.contains("SCIM_TEKTON_TICKET_TTL") && error.contains("\"soon\""), "{error}");
    let error = load("", &[("SCIM_TEKTON_LISTEN_HTPP", "x")]).unwrap_err();
    assert!(error.contains("SCIM_TEKTON_LISTEN_HTPP; the nearest known one is SCIM_TEKTON_LISTEN_HTTP"), "{error}");
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_not_ours() {
    let links = [
        ("SCIM_TEKTON_SERVICE_HOST", "10.0.0.1"),
        ("SCIM_TEKTON_SERVICE_PORT_HTTP", "80"),
        ("SCIM_TEKTON_PORT", "tcp://10.0.0.1:80"),
        ("SCIM_TEKTON_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SCIM_TEKTON_CONFIG", "/etc/x.yaml"),
    ];
    load("", &links).unwrap();
}

#[test]
fn contradictions_are_refused() {
    for (yaml, part) in [
        ("store: mysql://x", "expected sqlite://PATH"),
        ("store: 'postgres://u:secret@db/scim'", "no password in a file"),
        ("components: []", "at least one"),
        ("idps: [{name: okta}, {name: okta}]", "twice"),
        ("idps: [{name: Okta_1}]", "lower-case"),
        ("idps: [{name: okta, scim: {mode: strict, advertisePassword: true}}]", "strict refuses a password"),
        ("externalUrl: https://x.example/", "trailing slash"),
        ("issuer: {clusterId: 'a:b'}", "issuer.clusterId"),
        ("issuer: {clients: [{id: a, audience: b}]}", "exactly one of secretFile"),
        ("linkAuthority: {github.com: {idp: okta, attribute: 'a b'}}", "an attribute such as"),
    ] {
        let error = load(yaml, &[]).unwrap_err();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

const SCHEMA: &str = r#"{id: "urn:acme:2.0:User", attributes: [{name: badge, type: integer}]}"#;

#[test]
fn extensions_stand_in_the_file_or_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.json");
    std::fs::write(&file, r#"{"id": "urn:acme:2.0:Group", "attributes": [{"name": "cost", "type": "decimal"}]}"#)
        .unwrap();
    let yaml = format!(
        "scim:\n  omit: [pagination]\n  extensions:\n  - {{schema: {SCHEMA}}}\n  - {{resourceType: Group, file: {}}}\n",
        file.display()
    );
    let config = load(&yaml, &[]).unwrap();
    assert_eq!(config.extensions().unwrap().len(), 2);
    assert_eq!(config.scim.omit, [Omissible::Pagination].into());
}

#[test]
fn an_extension_that_is_none_is_told_by_its_key() {
    for (extensions, part) in [
        ("[{}]", "expected exactly one of schema, file"),
        ("[{file: /nowhere.json}]", "/nowhere.json can't be read"),
        ("[{schema: {id: x, attributes: []}}]", "expected id to be a URN"),
        ("[{schema: {id: 'urn:x', attributes: [{name: a, type: number}]}}]", "unknown variant `number`"),
    ] {
        let config = load(&format!("scim: {{extensions: {extensions}}}"), &[]).unwrap();
        let error = config.extensions().unwrap_err().to_string();
        assert!(error.contains("`scim.extensions.0`") && error.contains(part), "{extensions}: {error}");
    }
    let twice = load(&format!("scim: {{extensions: [{{schema: {SCHEMA}}}, {{schema: {SCHEMA}}}]}}"), &[]).unwrap();
    let error = twice.install_extensions().unwrap_err().to_string();
    assert!(error.contains("`scim.extensions.1`") && error.contains("an id of its own"), "{error}");
}
