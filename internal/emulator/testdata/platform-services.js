// IBM's Node SDK against the emulator: identity and policies. It needs
// EMULATOR_URL, EMULATOR_APIKEY, EMULATOR_ADMIN, EMULATOR_ACCOUNT and EMULATOR_CHILD, and finds the SDK by
// NODE_PATH. Each check prints its name; the first that fails ends the run.
'use strict';
const assert = require('node:assert/strict');
const { IamAuthenticator } = require('@ibm-cloud/platform-services/auth');
const IamAccessGroupsV2 = require('@ibm-cloud/platform-services/iam-access-groups/v2');
const IamIdentityV1 = require('@ibm-cloud/platform-services/iam-identity/v1');
const IamPolicyManagementV1 = require('@ibm-cloud/platform-services/iam-policy-management/v1');

const {
  EMULATOR_URL: url, EMULATOR_APIKEY: apikey, EMULATOR_ADMIN: admin, EMULATOR_ACCOUNT: accountId, EMULATOR_CHILD: child,
} = process.env;
const authenticator = new IamAuthenticator({ apikey, url });
const identity = new IamIdentityV1({ authenticator, serviceUrl: url });
const policies = new IamPolicyManagementV1({ authenticator, serviceUrl: url });
const owner = new IamPolicyManagementV1({ authenticator: new IamAuthenticator({ apikey: admin, url }), serviceUrl: url });
const sender = 'crn:v1:bluemix:public:logs::::serviceRole:Sender';

// refused asserts a refusal as the SDK reads it and returns its first error.
async function refused(call, status, code) {
  const failure = await call.then(() => null, (e) => e);
  assert.ok(failure, `want ${status} ${code}, got no refusal`);
  assert.equal(failure.status, status, failure.body);
  const [first] = failure.result.errors;
  assert.equal(first.code, code, failure.body);
  if (status !== 403) assert.equal(failure.message, first.message); // the SDK has its own text for 403
  assert.equal(failure.result.status_code, status);
  return first;
}

const checks = {
  async 'a custom role is created, changed and deleted'() {
    const request = { displayName: 'Sends', name: 'NodeSender', accountId, serviceName: 'logs', actions: ['logs.data-ingress.send'] };
    const made = await owner.createRole(request);
    assert.equal(made.status, 201);
    const { id: roleId, crn } = made.result;
    await refused(owner.createRole(request), 409, 'role_conflict_error');
    const got = await owner.getRole({ roleId });
    const changed = await owner.replaceRole({ roleId, ifMatch: got.headers.etag, displayName: 'Renamed', actions: request.actions });
    assert.equal(changed.result.display_name, 'Renamed');
    const list = await owner.listRoles({ accountId, serviceName: 'logs' });
    assert.deepEqual(list.result.custom_roles.map((r) => r.crn), [crn]);
    assert.equal((await owner.deleteRole({ roleId })).status, 204);
    await refused(owner.getRole({ roleId }), 404, 'role_not_found');
  },

  async 'a policy template is committed, assigned and removed'() {
    const attributes = (value) => ({ attributes: [{ key: 'serviceName', operator: 'stringEquals', value }] });
    const policy = { type: 'authorization', subject: attributes('codeengine'), resource: attributes('logs'), control: { grant: { roles: [{ role_id: sender }] } } };
    const made = await owner.createPolicyTemplate({ name: 'node', accountId, policy });
    const { id: policyTemplateId, version } = made.result;
    assert.equal((await owner.commitPolicyTemplate({ policyTemplateId, version })).status, 204);
    const request = { version: '1.0', target: { type: 'Account', id: child }, templates: [{ id: policyTemplateId, version }] };
    await refused(policies.createPolicyTemplateAssignment(request), 403, 'insufficent_permissions');
    const assigned = await owner.createPolicyTemplateAssignment(request);
    assert.equal(assigned.status, 201);
    const [{ id: assignmentId, resources: [{ policy: { resource_created: { id } } }] }] = assigned.result.assignments;
    const created = await owner.getV2Policy({ id });
    assert.equal(created.result.template.assignment_id, assignmentId);
    await refused(owner.deletePolicyTemplate({ policyTemplateId }), 409, 'policy_template_conflict_error');
    assert.equal((await owner.deletePolicyAssignment({ assignmentId })).status, 204);
    assert.equal((await owner.deletePolicyTemplate({ policyTemplateId })).status, 204);
  },

  async 'a service ID is created, found, changed and locked'() {
    const made = await identity.createServiceId({ accountId, name: 'node', description: 'first' });
    assert.equal(made.status, 201);
    const { id, iam_id: iamId } = made.result;
    const found = await identity.listServiceIds({ accountId, name: 'node' });
    assert.deepEqual(found.result.serviceids.map((s) => s.id), [id]);
    assert.equal(found.result.next, undefined);
    const got = await identity.getServiceId({ id, includeHistory: true, includeActivity: true });
    const etag = got.headers.etag;
    assert.equal(etag, got.result.entity_tag);
    assert.equal(got.result.history.length, 1);
    assert.equal(got.result.activity.authn_count, 0);
    const changed = await identity.updateServiceId({ id, ifMatch: etag, description: 'second' });
    assert.notEqual(changed.result.entity_tag, etag);
    await refused(identity.updateServiceId({ id, ifMatch: etag, description: 'third' }), 409, 'conflict');
    await identity.lockServiceId({ id });
    await refused(identity.deleteServiceId({ id }), 409, 'conflict');
    await identity.unlockServiceId({ id });
    assert.equal((await identity.deleteServiceId({ id })).status, 204);
    const gone = await refused(identity.getServiceId({ id }), 404, 'not_found');
    assert.equal(gone.message_code, 'BXNIM0102E');
    assert.ok(iamId.startsWith('iam-ServiceId-'));
  },

  async 'lists come in pages, with filters'() {
    const ids = [];
    for (const name of ['page-1', 'page-2', 'page-3', 'page-4', 'page-5']) {
      ids.push((await identity.createServiceId({ accountId, name })).result.id);
    }
    const names = [];
    let pages = 0;
    let pagetoken;
    do {
      const page = await identity.listServiceIds({ accountId, pagesize: 2, pagetoken, filter: 'name co "page-"' });
      names.push(...page.result.serviceids.map((s) => s.name));
      pagetoken = page.result.next && new URL(page.result.next).searchParams.get('pagetoken');
      pages += 1;
    } while (pagetoken);
    assert.deepEqual(names, ['page-1', 'page-2', 'page-3', 'page-4', 'page-5']);
    assert.equal(pages, 3);
    await refused(identity.listServiceIds({ accountId, pagesize: 101 }), 400, 'validation_error');
    for (const id of ids) await identity.deleteServiceId({ id });
  },

  async 'a key lives from its value to its deletion'() {
    const owner = (await identity.createServiceId({ accountId, name: 'keys' })).result;
    const value = 'node-'.padEnd(44, 'x');
    const request = { name: 'k', iamId: owner.iam_id, apikey: value, storeValue: false, actionWhenLeaked: 'disable', expiresAt: '2099-01-01T00:00+0000' };
    const made = await identity.createApiKey(request);
    const { id } = made.result;
    assert.equal(made.status, 201);
    assert.equal(made.result.apikey, value);
    assert.equal(made.result.expires_at, '2099-01-01T00:00+0000');
    await refused(identity.createApiKey(request), 409, 'conflict');
    await refused(identity.createApiKey({ ...request, apikey: 'short' }), 400, 'validation_error');
    const details = await identity.getApiKeysDetails({ iamApiKey: value });
    assert.equal(details.result.id, id);
    assert.equal(details.result.apikey, undefined);

    const token = await new IamAuthenticator({ apikey: value, url }).tokenManager.getToken();
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    assert.equal(claims.iam_id, owner.iam_id);
    assert.equal(claims.account.bss, accountId);
    const got = await identity.getApiKey({ id, includeActivity: true });
    assert.equal(got.result.activity.authn_count, 1);

    const changed = await identity.updateApiKey({ id, ifMatch: got.headers.etag, expiresAt: '', description: 'moved' });
    assert.equal(changed.result.expires_at, undefined);
    await refused(identity.updateApiKey({ id, ifMatch: got.headers.etag, description: 'again' }), 409, 'conflict');
    await identity.disableApiKey({ id });
    const unusable = await new IamAuthenticator({ apikey: value, url }).tokenManager.getToken().then(() => null, (e) => e);
    assert.equal(unusable.status, 400);
    await identity.enableApiKey({ id });
    await identity.lockApiKey({ id });
    await refused(identity.deleteApiKey({ id }), 409, 'conflict');
    await identity.unlockApiKey({ id });
    const listed = await identity.listApiKeys({ accountId, iamId: owner.iam_id });
    assert.deepEqual(listed.result.apikeys.map((k) => k.id), [id]);
    assert.equal((await identity.deleteApiKey({ id })).status, 204);
    await refused(identity.getApiKey({ id }), 404, 'not_found');
    await identity.deleteServiceId({ id: owner.id });
  },

  async 'a nested key comes with its service ID, and the 21st is refused'() {
    const made = (await identity.createServiceId({ accountId, name: 'nested', apikey: { name: 'with it' } })).result;
    assert.equal(made.apikey.iam_id, made.iam_id);
    for (let i = 1; i < 20; i += 1) await identity.createApiKey({ name: `k${i}`, iamId: made.iam_id });
    await refused(identity.createApiKey({ name: 'k20', iamId: made.iam_id }), 422, 'unprocessable_entity');
    await identity.deleteServiceId({ id: made.id });
    await refused(identity.getApiKey({ id: made.apikey.id }), 404, 'not_found');
  },

  async 'a service ID group holds its own'() {
    const group = (await identity.createServiceIdGroup({ accountId, name: 'node group' })).result;
    const inside = (await identity.createServiceId({ accountId, name: 'inside', groupId: group.id })).result;
    assert.equal((await identity.listServiceIds({ accountId, name: 'inside' })).result.serviceids.length, 0);
    assert.equal((await identity.listServiceIds({ accountId, name: 'inside', groupId: group.id })).result.serviceids[0].id, inside.id);
    await identity.deleteServiceId({ id: inside.id });
    assert.equal((await identity.deleteServiceIdGroup({ id: group.id })).status, 204);
  },

  async 'a policy is created once, replaced and deleted'() {
    const owner = (await identity.createServiceId({ accountId, name: 'policies' })).result;
    const equals = (key, value) => ({ key, operator: 'stringEquals', value });
    const request = {
      type: 'access',
      description: 'by node',
      control: { grant: { roles: [{ role_id: sender }] } },
      subject: { attributes: [equals('iam_id', owner.iam_id)] },
      resource: { attributes: [equals('accountId', accountId), equals('serviceName', 'logs')], tags: [equals('env', 'prod')] },
    };
    const made = await policies.createV2Policy(request);
    assert.equal(made.status, 201);
    const { id } = made.result;
    assert.deepEqual(made.result.control, request.control);
    assert.deepEqual(made.result.resource, request.resource);
    const conflict = await refused(policies.createV2Policy(request), 409, 'policy_conflict_error');
    assert.equal(conflict.details.conflicts_with.policy.id, id);
    const listed = await policies.listV2Policies({ accountId, iamId: owner.iam_id, serviceName: 'logs', type: 'access' });
    assert.deepEqual(listed.result.policies.map((p) => p.id), [id]);
    const got = await policies.getV2Policy({ id });
    const replaced = await policies.replaceV2Policy({ ...request, id, ifMatch: got.headers.etag, description: 'again' });
    assert.equal(replaced.result.description, 'again');
    await refused(policies.replaceV2Policy({ ...request, id, ifMatch: got.headers.etag }), 409, 'policy_conflict_error');
    assert.equal((await policies.deleteV2Policy({ id })).status, 204);
    await refused(policies.getV2Policy({ id }), 404, 'policy_not_found');
    await refused(policies.createV2Policy({ ...request, subject: undefined }), 400, 'invalid_body');

    const v1 = await policies.createPolicy({
      type: 'access',
      roles: [{ role_id: sender }],
      subjects: [{ attributes: [{ name: 'iam_id', value: owner.iam_id }] }],
      resources: [{ attributes: [{ name: 'accountId', value: accountId }, { name: 'serviceName', value: 'logs' }] }],
    });
    assert.equal(v1.result.roles[0].display_name, 'Sender');
    await identity.deleteServiceId({ id: owner.id });
    await refused(policies.getPolicy({ policyId: v1.result.id }), 404, 'policy_not_found');
  },

  async 'pagers walk the policies, and roles are listed'() {
    const pager = new IamPolicyManagementV1.V2PoliciesPager(policies, { accountId, limit: 3 });
    const all = await pager.getAll();
    assert.ok(all.length > 3);
    assert.equal(new Set(all.map((p) => p.id)).size, all.length);
    const roles = await policies.listRoles({ accountId, serviceName: 'logs', policyType: 'access' });
    assert.ok(roles.result.service_roles.some((r) => r.crn === sender && r.display_name === 'Sender'));
  },

  async 'what is not emulated says so'() {
    const groups = new IamAccessGroupsV2({ authenticator, serviceUrl: url });
    const failure = await groups.listAccessGroupRules({ accessGroupId: 'any' }).then(() => null, (e) => e);
    assert.equal(failure.status, 501);
    assert.equal(failure.result.errors[0].code, 'not_emulated');
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok: ${name}`);
    } catch (e) {
      console.log(`FAILED: ${name}\n${e.stack}`);
      process.exit(1);
    }
  }
})();
