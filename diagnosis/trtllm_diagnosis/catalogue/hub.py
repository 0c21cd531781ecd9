"""Answers of the hub or of an object store: D1, D2 and the relatives X1, X2 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern

_HUB: Final = (
    r"hugging ?face|hf\.co|hf_hub|hf-mirror|modelscope|httpx|httpcore|https?://|HTTPS?Connection|urllib3|cdn-lfs"
)

HUB: Final = (
    Entry(
        "D1",
        Reason.SOURCE_ACCESS_DENIED,
        "gated or private repository",
        (
            Pattern("gated dataset"),
            Pattern("gated repo", r"(?<!private or )gated repo(?:.{0,40}https?://[^/\s]+/(?P<model>[\w.-]+/[\w.-]+))?"),
            Pattern("gatedrepoerror", r"GatedRepoError(?!\w)"),
            Pattern(
                "ed list",
                r"(?:Access to (?:model|dataset) (?P<model>\S{1,120}+).{0,120}?)?"
                r"not (?:in|on) the (?:authori[sz]|allow)ed list",
            ),
            Pattern("is restricted", r"Access to (?:model|dataset) (?P<model>\S+) is restricted"),
            Pattern(
                "client error",
                r"\b(?P<status>401|403) Client Error(?:.*?https?://[^/\s]+/"
                r"(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+))?",
            ),
            Pattern("http error 40", r"HTTP Error (?P<status>401|403)"),
            Pattern("invalid user token"),
            Pattern("status(", r"(?:reqwest|http).*\bStatus\((?P<status>401|403)\)"),
            Pattern("invalid username or password", r"Invalid username or password"),
            Pattern("awaiting a review", r"awaiting a review from the repo authors"),
            Pattern("have access to it and be authenticated"),
            Pattern("when calling the", r"An error occurred \((?P<status>403|AccessDenied|InvalidAccessKeyId)\)"),
            Pattern("unable to locate credentials"),
            Pattern("localtokennotfounderror"),
            Pattern(
                "when calling the",
                r"An error occurred \((?P<status>ExpiredToken\w*|SignatureDoesNotMatch|Unauthorized)\)",
            ),
            Pattern("invalid credentials", r"Invalid credentials in Authorization header"),
            Pattern(
                "client error",
                r"Client error '(?P<status>401|403)\b(?:.*?https?://[^/\s]+/(?:api/models/)?(?P<model>[\w.-]+/[\w."
                r"-]+))?",
            ),
            Pattern("token has the correct permissions"),
            Pattern("access denied", r"Access denied\b.{0,40}(?:repo|model|dataset|approval|licen[cs]e|gated)"),
            Pattern("forbidden", r"\bForbidden: (?P<status>403)\b|\b(?P<code>403):? Forbidden\b"),
            Pattern("unauthorized", r"\bUnauthorized: (?P<status>401)\b|\b(?P<code>401):? Unauthorized\b"),
            Pattern(
                "authentication failed", r"Authentication failed for '?https?://[^/\s]+/(?P<model>[\w.-]+/[\w.-]+)?"
            ),
            Pattern("could not read", r"could not read (?:Username|Password) for 'https?://"),
            Pattern("awaiting", r"request to access (?:model|dataset) (?P<model>\S+) is awaiting"),
            Pattern("is gated", r"Repo(?:sitory)? (?:model )?(?P<model>[\w.-]+/[\w.-]+) is gated"),
        ),
        "The hub or store refuses access[[ to {model}]][[ ({status})]].",
        "Give a Secret with a token that can read it (401: no or invalid token) and accept the model's licence with "
        "that account (403).",
    ),
    Entry(
        "D2",
        Reason.RATE_LIMITED,
        "the hub refuses more requests",
        (
            Pattern("too many requests", r"429\b.{0,60}Too Many Requests|Too Many Requests.{0,40}(?:url|429)"),
            Pattern("429", r"(?:HTTP ?Error|status(?:[ _]code)?|response)\D{0,12}429\b"),
            Pattern("rate limit", r"(?:we had to rate limit|rate limit(?:ed)? (?:exceeded|reached|your IP))"),
            Pattern("429", r"too many 429\b"),
            Pattern("slowdown", r"\(SlowDown\) when calling"),
        ),
        "The hub answers 429 Too Many Requests.",
        "Set a token, download once into a shared volume, and let replicas read it in offline mode.",
    ),
    Entry(
        "X1",
        Reason.SOURCE_NOT_FOUND,
        "the repository, revision or path does not exist",
        (
            Pattern("repositorynotfounderror", r"RepositoryNotFoundError"),
            Pattern("repository not found:", r"Repository not found: \W?(?P<model>[\w.-]+/[\w.-]+)"),
            Pattern("revisionnotfounderror", r"RevisionNotFoundError"),
            Pattern(
                "repository not found for url",
                r"Repository Not Found for url:? https?://[^/\s]+/(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+)",
            ),
            Pattern(
                "not a valid model identifier",
                r"(?<!\S)(?P<model>\S+) is not a local folder and is not a valid model identifier",
            ),
            Pattern("is not a valid git identifier", r"(?<!\S)(?P<model>\S+) is not a valid git identifier"),
            Pattern("repo id must be in the form", r"Repo id must be in the form .*?: '(?P<model>[^']+)'"),
            Pattern("repo id must use alphanumeric"),
            Pattern("incorrect path_or_model_id", r"Incorrect path_or_model_id: '(?P<model>[^']+)'"),
            Pattern(
                "404 client error",
                r"404 Client Error(?:.*?https?://[^/\s]+/(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+))?",
            ),
            Pattern("nosuchbucket"),
            Pattern("nosuchkey"),
        ),
        "The model[[ {model}]], its revision or its path does not exist.",
        "Check the name, the revision and the mounted path; a private repository without a token looks the same.",
    ),
    Entry(
        "X2",
        Reason.SOURCE_UNREACHABLE,
        "the hub cannot be reached",
        (
            Pattern(
                "resolve",
                rf"(?=.*(?:{_HUB}))(?:failed to resolve '?(?P<host>[\w.-]+)"
                r"|Could not resolve host:? '?(?P<host2>[\w.-]+)|NameResolutionError)",
            ),
            Pattern("name resolution", rf"(?=.*(?:{_HUB}))Temporary failure in name resolution"),
            Pattern("name or service not known", rf"(?=.*(?:{_HUB}))Name or service not known"),
            Pattern(
                "max retries exceeded with url",
                r"^(?!.*too many 429\b).*?(?:host='(?P<host>[\w.-]+)'.*)?Max retries exceeded with url",
            ),
            Pattern("couldn't connect to", r"couldn't connect to '?https?://(?P<host>[\w.-]+)"),
            Pattern("localentrynotfounderror"),
            Pattern("cannot find the requested files in the local cache"),
            Pattern("outgoing traffic has been disabled"),
            Pattern("certificate_verify_failed"),
            Pattern("timed out", rf"(?=.*(?:{_HUB}))(?:read|connect\w*|request|operation) timed out"),
            Pattern("proxyerror", r"ProxyError"),
            Pattern("server error", r"\b5\d\d Server Error\b(?:.{0,80}https?://(?P<host>[\w.-]+))?"),
            Pattern("remotedisconnected"),
            Pattern("incompleteread"),
            Pattern("connecttimeout", r"Connect(?:Timeout|ionTimeout)(?:Error)?\b"),
            Pattern("connection aborted", r"\('Connection aborted\.'"),
            Pattern("cas service error"),
            Pattern("could not connect to the endpoint url", r"endpoint URL: \"https?://(?P<host>[\w.-]+)"),
            Pattern("ssl", rf"(?=.*(?:{_HUB}))(?:SSLError|SSLEOFError|EOF occurred in violation of protocol)"),
            Pattern(
                "connection refused",
                rf"^(?!.*(?:probe failed|calling webhook))"
                rf"(?=.*(?:{_HUB})).*(?:NewConnectionError|ConnectError|Connection refused)",
            ),
        ),
        "The hub[[ {host}]][[ {host2}]] cannot be reached from the pod.",
        "Check DNS, proxy and NetworkPolicy, set an endpoint inside your network, or mount the files.",
    ),
)
