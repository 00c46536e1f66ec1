//! AuthConfig.

use super::objects;
use super::route::OBJECT_REF;

objects! {
    AUTH_CONFIG { booleanExpr: any, configs: [AUTH_CHECK] };
    AUTH_CHECK {
        apiKeyAuth: API_KEY_AUTH,
        basicAuth: BASIC_AUTH,
        hmacAuth: any,
        jwt: any,
        ldap: any,
        name: any,
        oauth: any,
        oauth2: any,
        opaAuth: any,
        opaServerAuth: any,
        passThroughAuth: any,
        pluginAuth: any,
        portalAuth: any,
    }
    .one_of(&[&[
        "apiKeyAuth", "basicAuth", "hmacAuth", "jwt", "ldap", "oauth", "oauth2", "opaAuth", "opaServerAuth",
        "passThroughAuth", "pluginAuth", "portalAuth",
    ]]);
    API_KEY_AUTH { apiKeySecretRefs: [OBJECT_REF], headerName: string, labelSelector: {string} };
    BASIC_AUTH { apr: APR, realm: string, sha256: SHA256 }.one_of(&[&["apr", "sha256"]]);
    APR { users: {HASHED_PASSWORD} };
    SHA256 { users: {HASHED_PASSWORD} };
    HASHED_PASSWORD { hashedPassword: string, salt: string };
}
