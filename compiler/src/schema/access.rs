//! Options that say who may send requests. They are extensions.

use super::objects;
use super::route::{HEADER_MATCHER, STRING_MATCH};

objects! {
    AUTHORIZATION { rules: [AUTHORIZATION_RULE], trustedHops: uint32 };
    AUTHORIZATION_RULE {
        action: (ALLOW | DENY),
        from: AUTHORIZATION_SOURCE,
        headers: [HEADER_MATCHER],
        methods: [string],
        name: string,
        paths: [STRING_MATCH],
        sni: [STRING_MATCH],
    };
    AUTHORIZATION_SOURCE {
        claims: [CLAIM_MATCHER],
        identities: [STRING_MATCH],
        notSourceAddresses: [string],
        sourceAddresses: [string],
    }
    .renamed(&[("ipBlocks", "sourceAddresses"), ("notIpBlocks", "notSourceAddresses"), ("principals", "identities")]);
    CLAIM_MATCHER { claim: [string], values: [STRING_MATCH] };
    JWT {
        allowMissing: boolean,
        claimsToHeaders: [CLAIM_TO_HEADER],
        clockSkew: string,
        forward: boolean,
        issuers: [JWT_ISSUER],
        tokenFrom: TOKEN_FROM,
    };
    JWT_ISSUER { audiences: [string], issuer: string, jwks: string };
    CLAIM_TO_HEADER { claim: [string], header: string };
    TOKEN_FROM { header: string, prefix: string, queryParameter: string };
}
