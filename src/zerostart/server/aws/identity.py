"""Who one is, in the words of STS and IAM, as SDKs ask before they deploy. Every role that is asked for exists."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from zerostart.credentials import AccessKey
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.authorisation import ROLE_NAME, caller_arn

_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


class StsOperations:
    """One method an operation: GetCallerIdentity is get_caller_identity."""

    def get_caller_identity(self, _asked: Mapping[str, Any], caller: AccessKey) -> dict[str, Any]:
        """GetCallerIdentity: this installation's role, with the access key as session, so that SDKs find a role."""
        user_id = f"{_identifier('AROA', ROLE_NAME)}:{caller.access_key_id}"
        return {"Account": ACCOUNT_ID, "Arn": caller_arn(caller), "UserId": user_id}


class IamOperations:
    """One method an operation: GetRole is get_role."""

    def __init__(self, region: str) -> None:
        self._region = region

    def get_role(self, asked: Mapping[str, Any], _caller: AccessKey) -> dict[str, Any]:
        """GetRole: any name, since roles are shown here and grant nothing."""
        name = asked["RoleName"]
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": _identifier("AROA", name),
                "Arn": f"arn:aws:iam::{ACCOUNT_ID}:role/{name}",
                "CreateDate": _CREATED_AT,
                "AssumeRolePolicyDocument": quote(json.dumps(_TRUST)),
                "MaxSessionDuration": 3600,
                "RoleLastUsed": {"Region": self._region},
            }
        }

    def get_user(self, asked: Mapping[str, Any], caller: AccessKey) -> dict[str, Any]:
        """GetUser: the caller, or the name that was asked for."""
        name = asked.get("UserName") or caller.access_key_id
        return {
            "User": {
                "Path": "/",
                "UserName": name,
                "UserId": _identifier("AIDA", name),
                "Arn": f"arn:aws:iam::{ACCOUNT_ID}:user/{name}",
                "CreateDate": _CREATED_AT,
            }
        }

    def simulate_principal_policy(self, asked: Mapping[str, Any], _caller: AccessKey) -> dict[str, Any]:
        """SimulatePrincipalPolicy, as SDKs ask it of a role that shall run things here: nothing is kept from it."""
        resources = asked.get("ResourceArns") or ["*"]
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"}
            for action in asked["ActionNames"]
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


def _identifier(prefix: str, name: str) -> str:
    """21 characters, as IAM's identifiers have."""
    return prefix + hashlib.sha256(name.encode()).hexdigest()[:17].upper()
