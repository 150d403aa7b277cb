-- SPDX-License-Identifier: MIT
-- The ids and keys that the emulated providers know. None of them opens anything outside the sandbox.
-- `credentials` holds what a provider's constructor takes, and only that; `specimens` holds what else is worth trying.

local credentials = {
  conneqt = { api_key = "sandbox-conneqt-api-key" },
  ehealth = {
    client_id = "d290f1ee-6c54-4b01-90e6-d701748f0851",
    client_secret = "sandbox-ehealth-client-secret",
    api_key = "sandbox-ehealth-mis-key",
    psk = "sandbox-ehealth-psk",
    redirect_uri = "https://client.example.com/ehealth/cb",
    scope = "legal_entity:read employee:read",
  },
  pkb = { client_id = "sandbox-pkb-client", redirect_uri = "https://client.example.com/cb", scope = "PATIENT" },
  -- A secret with signs that form encoding changes: a client that forgets RFC 6749 2.3.1 is refused.
  pkb_system = { client_id = "sandbox-pkb-system", client_secret = "sandbox+system/secret:100%=" },
}

local specimens = {
  conneqt = { forbidden_api_key = "sandbox-conneqt-key-without-rights" },
  ehealth = {
    other = { client_id = "30074b6e-fbab-4dc1-9d37-88c21dab1847", client_secret = "sandbox-ehealth-other-secret",
      redirect_uri = "https://other.example.com/cb" },
    blocked = { client_id = "6498d88e-97fb-47e2-85a5-99e884f888aa", client_secret = "sandbox-ehealth-blocked-secret",
      redirect_uri = "https://blocked.example.com/cb", blocked = true },
  },
  pkb = { other = { client_id = "sandbox-pkb-other", redirect_uri = "https://other.example.com/cb" } },
}

return { credentials = credentials, specimens = specimens }
