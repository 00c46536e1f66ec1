//! The published schema of the resources, as data, and the check that walks it.
//!
//! The check is strict where the API server is not: it reports fields that the API server would drop, because a
//! misspelt field is a mistake and not a wish. It marks what is wrong in the tree; decoding leaves that out.

mod access;
mod advice;
mod auth_config;
mod check;
mod cluster;
#[cfg(test)]
mod examples;
mod gateway;
mod mesh;
mod policy;
mod route;

pub(crate) use check::{check, check_element};

/// Type of a value.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    String,
    Boolean,
    Uint32,
    Int32,
    Int64,
    Number,
    /// Not described.
    Any,
    /// One of these strings.
    Enum(&'static [&'static str]),
    /// A boolean, or one of these strings.
    BooleanOr(&'static [&'static str]),
    List(&'static Type),
    /// Any keys, values of one type.
    Map(&'static Type),
    Object(&'static Object),
    /// May be `null`.
    Nullable(&'static Type),
}

/// A field of an [`Object`].
pub(crate) struct Field {
    name: &'static str,
    ty: Type,
}

/// A map with known fields.
pub(crate) struct Object {
    fields: &'static [Field],
    one_of: &'static [&'static [&'static str]],
    old: &'static [(&'static str, &'static str)],
    misplaced: &'static [(&'static str, &'static str)],
    renamed: &'static [(&'static str, &'static str)],
    separable: bool,
    open: bool,
}

impl Object {
    const fn new(fields: &'static [Field]) -> Self {
        Self {
            fields,
            one_of: &[],
            old: &[],
            misplaced: &[],
            renamed: &[],
            separable: false,
            open: false,
        }
    }

    /// Groups of fields of which at most one may be written.
    const fn one_of(mut self, groups: &'static [&'static [&'static str]]) -> Self {
        self.one_of = groups;
        self
    }

    /// Fields of earlier versions of the API, with what to do instead.
    const fn old(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.old = fields;
        self
    }

    /// Fields that users look for here, with where they belong; for what the general search cannot know.
    const fn misplaced(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.misplaced = fields;
        self
    }

    /// Names that other systems use, with the field's name here.
    const fn renamed(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.renamed = fields;
        self
    }

    /// A fault in here is no fault of the owner, which is whole without it: routes, virtual hosts, specs of objects
    /// (a fault beside the spec concerns the whole object).
    const fn separable(mut self) -> Self {
        self.separable = true;
        self
    }

    /// Unknown fields are not reported.
    const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Shorthand for a [`Type`]: a name of the schema's own types, `[list]`, `{map}`, `(ENUM | VALUES)`,
/// `(boolean or ENUM | VALUES)` or an object.
macro_rules! ty {
    (string) => { $crate::schema::Type::String };
    (boolean) => { $crate::schema::Type::Boolean };
    (uint32) => { $crate::schema::Type::Uint32 };
    (int32) => { $crate::schema::Type::Int32 };
    (int64) => { $crate::schema::Type::Int64 };
    (number) => { $crate::schema::Type::Number };
    (any) => { $crate::schema::Type::Any };
    (nullable_string) => { $crate::schema::Type::Nullable(&$crate::schema::Type::String) };
    (nullable_boolean) => { $crate::schema::Type::Nullable(&$crate::schema::Type::Boolean) };
    (nullable_labels) => { $crate::schema::Type::Nullable(&$crate::schema::ty!({string})) };
    (nullable_uint32) => { $crate::schema::Type::Nullable(&$crate::schema::Type::Uint32) };
    ([$element:tt]) => { $crate::schema::Type::List(&$crate::schema::ty!($element)) };
    ({$value:tt}) => { $crate::schema::Type::Map(&$crate::schema::ty!($value)) };
    ((boolean or $($value:ident)|+)) => {
        $crate::schema::Type::BooleanOr(&[$(stringify!($value)),+])
    };
    (($($value:ident)|+)) => { $crate::schema::Type::Enum(&[$(stringify!($value)),+]) };
    ($object:ident) => { $crate::schema::Type::Object(&$object) };
}

/// Defines objects: `NAME { field: type, … }.attribute(…);`.
macro_rules! objects {
    ($($object:ident { $($field:ident: $ty:tt),* $(,)? } $(.$attribute:ident($($argument:expr),*))*;)*) => {
        $(pub(super) static $object: $crate::schema::Object = $crate::schema::Object::new(&[
            $($crate::schema::Field { name: stringify!($field), ty: $crate::schema::ty!($ty) }),*
        ])$(.$attribute($($argument),*))*;)*
    };
}

use {objects, ty};

objects! {
    // The metadata of every object in Kubernetes. What the server writes is not looked at.
    METADATA {
        name: string,
        namespace: string,
        labels: nullable_labels,
        creationTimestamp: nullable_string,
        annotations: any,
        clusterName: any,
        deletionGracePeriodSeconds: any,
        deletionTimestamp: any,
        finalizers: any,
        generateName: any,
        generation: any,
        managedFields: any,
        ownerReferences: any,
        resourceVersion: any,
        selfLink: any,
        uid: any,
    };
    SERVICE { ports: [SERVICE_PORT], selector: {string}, type: string }.open().separable();
    SERVICE_PORT { name: string, port: uint32, protocol: string }.open();
}

/// A kind of object.
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) name: &'static str,
    /// Its schema, if we have it.
    pub(crate) root: Option<&'static Object>,
    /// Whether the compiler does anything with it.
    pub(crate) used: bool,
}

impl Kind {
    /// Whether objects of this kind are told what became of them.
    pub(crate) fn has_status(&self) -> bool {
        self.used && (self.group == ENTERPRISE || self.group == NETWORKING)
    }

    /// Whether an object is known to all clusters, wherever it was read.
    pub(crate) fn is_global(&self) -> bool {
        OWN_GROUPS.contains(&self.group) || self.group == MULTICLUSTER
    }
}

/// The group of the routing resources.
pub(crate) const ENTERPRISE: &str = "networking.enterprise.mesh.gloo.solo.io";
const NETWORKING: &str = "networking.mesh.gloo.solo.io";
const DISCOVERY: &str = "discovery.mesh.gloo.solo.io";
const SETTINGS: &str = "settings.mesh.gloo.solo.io";

macro_rules! kinds {
    ($($group:ident/$version:ident { $($name:ident: $spec:tt $use:ident,)* })*) => {
        &[$($(Kind {
            group: $group,
            version: stringify!($version),
            name: stringify!($name),
            root: kinds!(@root $spec),
            used: kinds!(@$use),
        },)*)*]
    };
    (@root unknown) => { None };
    (@root $spec:tt) => {
        Some(&Object::new(&[
            Field { name: "apiVersion", ty: Type::String },
            Field { name: "kind", ty: Type::String },
            Field { name: "metadata", ty: Type::Object(&METADATA) },
            Field { name: "spec", ty: ty!($spec) },
            Field { name: "status", ty: Type::Any },
        ]))
    };
    (@used) => { true };
    (@unused) => { false };
}

const AUTH: &str = "enterprise.gloo.solo.io";
const CORE: &str = "";
const APPS: &str = "apps";
const ISTIO: &str = "networking.istio.io";
const MULTICLUSTER: &str = "multicluster.solo.io";

/// Groups whose kinds are all known.
const OWN_GROUPS: [&str; 4] = [ENTERPRISE, NETWORKING, DISCOVERY, SETTINGS];

static KINDS: &[Kind] = {
    use auth_config::AUTH_CONFIG;
    use cluster::{DEPLOYMENT, DESTINATION_RULE, NODE, POD, SERVICE_ENTRY};
    use gateway::VIRTUAL_GATEWAY;
    use mesh::{DESTINATION, MESH, SETTINGS as SETTINGS_SPEC, VIRTUAL_DESTINATION, VIRTUAL_MESH};
    use policy::{
        ACCESS_POLICY, RATE_LIMIT_CLIENT_CONFIG, RATE_LIMIT_SERVER_CONFIG, TRAFFIC_POLICY,
    };
    use route::{ROUTE_TABLE, VIRTUAL_HOST};
    kinds! {
        ENTERPRISE/v1beta1 {
            VirtualGateway: VIRTUAL_GATEWAY used,
            VirtualHost: VIRTUAL_HOST used,
            RouteTable: ROUTE_TABLE used,
            VirtualDestination: VIRTUAL_DESTINATION used,
            RateLimitClientConfig: RATE_LIMIT_CLIENT_CONFIG used,
            RateLimitServerConfig: RATE_LIMIT_SERVER_CONFIG used,
            ServiceDependency: unknown unused,
            WasmDeployment: unknown unused,
            CertificateVerification: unknown unused,
        }
        NETWORKING/v1 {
            TrafficPolicy: TRAFFIC_POLICY used,
            AccessPolicy: ACCESS_POLICY unused,
            VirtualMesh: VIRTUAL_MESH used,
        }
        DISCOVERY/v1 {
            Destination: DESTINATION used,
            Mesh: MESH used,
            Workload: unknown unused,
        }
        SETTINGS/v1 {
            Settings: SETTINGS_SPEC unused,
        }
        AUTH/v1 {
            AuthConfig: AUTH_CONFIG used,
        }
        CORE/v1 {
            Secret: unknown used,
            Service: SERVICE used,
            Pod: POD used,
            Node: NODE used,
        }
        APPS/v1 {
            Deployment: DEPLOYMENT used,
        }
        MULTICLUSTER/v1alpha1 {
            KubernetesCluster: unknown used,
        }
        ISTIO/v1 {
            DestinationRule: DESTINATION_RULE used,
            ServiceEntry: SERVICE_ENTRY used,
        }
        ISTIO/v1beta1 {
            DestinationRule: DESTINATION_RULE used,
            ServiceEntry: SERVICE_ENTRY used,
        }
        ISTIO/v1alpha3 {
            DestinationRule: DESTINATION_RULE used,
            ServiceEntry: SERVICE_ENTRY used,
        }
    }
};

/// What an `apiVersion` and a `kind` stand for.
pub(crate) enum Lookup {
    Known(&'static Kind),
    /// A kind of ours in a version that is not supported.
    WrongVersion(&'static Kind),
    /// No kind of this group, which is one of ours; with the kind that was probably meant.
    UnknownKind(Option<&'static Kind>),
    /// A kind of another group.
    Foreign,
}

/// Looks a kind up.
pub(crate) fn find(api_version: &str, name: &str) -> Lookup {
    let (group, version) = api_version.split_once('/').unwrap_or((CORE, api_version));
    let mut namesakes = KINDS
        .iter()
        .filter(|kind| kind.group == group && kind.name == name);
    if let Some(kind) = namesakes.clone().find(|kind| kind.version == version) {
        return Lookup::Known(kind);
    }
    if let Some(kind) = namesakes.next() {
        return Lookup::WrongVersion(kind);
    }
    if !OWN_GROUPS.contains(&group) {
        return Lookup::Foreign;
    }
    let similar = || {
        let kinds = || KINDS.iter().filter(|kind| kind.group == group);
        let name = advice::similar(name, kinds().map(|kind| kind.name))?;
        kinds().find(|kind| kind.name == name)
    };
    Lookup::UnknownKind(namesake(name).or_else(similar))
}

/// The kind of ours that has a name, whatever its group.
pub(crate) fn namesake(name: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| OWN_GROUPS.contains(&kind.group) && kind.name == name)
}
