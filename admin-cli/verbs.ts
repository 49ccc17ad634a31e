// Owns: the registration of every verb of cofferctl, in the order in which `--help` lists them. A verb exists when it
// is in this list: completion, help, the reference of verbs and the tests are derived from it.
import { accountCreate } from './account/create.ts';
import { accountEndSessions } from './account/end-sessions.ts';
import { accountExpire } from './account/expire.ts';
import { accountList } from './account/list.ts';
import { accountLock } from './account/lock.ts';
import { accountSet } from './account/set.ts';
import { accountShow } from './account/show.ts';
import { accountUnlock } from './account/unlock.ts';
import { alertList } from './alert/list.ts';
import { breakGlassEnd } from './break-glass/end.ts';
import { breakGlassList } from './break-glass/list.ts';
import { breakGlassPrepare } from './break-glass/prepare.ts';
import { breakGlassReview } from './break-glass/review.ts';
import { exposure } from './budget/exposure.ts';
import { budgetHistory } from './budget/history.ts';
import { budgetRelease } from './budget/release.ts';
import { budgetSet } from './budget/set.ts';
import { budgetShow } from './budget/show.ts';
import { budgetTighten } from './budget/tighten.ts';
import { changeApprove } from './change/approve.ts';
import { changeList } from './change/list.ts';
import { changeReject } from './change/reject.ts';
import { changeShow } from './change/show.ts';
import { credentialList } from './credential/list.ts';
import { credentialRevoke } from './credential/revoke.ts';
import { credentialRotate } from './credential/rotate.ts';
import { credentialShow } from './credential/show.ts';
import { credentialStale } from './credential/stale.ts';
import { credentialWake } from './credential/wake.ts';
import { customerCreate } from './customer/create.ts';
import { customerList } from './customer/list.ts';
import { customerPolicy } from './customer/policy.ts';
import { customerRename } from './customer/rename.ts';
import { customerResume } from './customer/resume.ts';
import { customerShow } from './customer/show.ts';
import { customerSuspend } from './customer/suspend.ts';
import { fileList } from './file/list.ts';
import { fileReceipt } from './file/receipt.ts';
import { fileRelease } from './file/release.ts';
import { fileReopen } from './file/reopen.ts';
import { fileWithdraw } from './file/withdraw.ts';
import { folderCreate } from './folder/create.ts';
import { folderSet } from './folder/set.ts';
import { bootstrapVerb } from './gateway/bootstrap.ts';
import { completionVerb } from './gateway/completion.ts';
import { doctor } from './gateway/doctor.ts';
import { drain } from './gateway/drain.ts';
import { status } from './gateway/status.ts';
import { whoami } from './gateway/whoami.ts';
import { holdLift } from './hold/lift.ts';
import { holdList } from './hold/list.ts';
import { holdPlace } from './hold/place.ts';
import { incidentAssure } from './incident/assure.ts';
import { incidentHunt } from './incident/hunt.ts';
import { incidentPack } from './incident/pack.ts';
import { incidentScope } from './incident/scope.ts';
import { keyAdd } from './key/add.ts';
import { keyConfirm } from './key/confirm.ts';
import { keyResume } from './key/resume.ts';
import { keyRetire } from './key/retire.ts';
import { keySuspend } from './key/suspend.ts';
import { ledgerRelease } from './ledger/release.ts';
import { ledgerSearch } from './ledger/search.ts';
import { ledgerShow } from './ledger/show.ts';
import { ledgerStatus } from './ledger/status.ts';
import { ledgerTail } from './ledger/tail.ts';
import { ledgerVerify } from './ledger/verify.ts';
import { mfaReset } from './mfa/reset.ts';
import { mfaTicket } from './mfa/ticket.ts';
import { operatorAddKey } from './operator/add-key.ts';
import { operatorCreate } from './operator/create.ts';
import { operatorEndKey } from './operator/end-key.ts';
import { operatorList } from './operator/list.ts';
import { operatorResume } from './operator/resume.ts';
import { operatorSetRole } from './operator/set-role.ts';
import { operatorSuspend } from './operator/suspend.ts';
import { passwordIssue } from './password/issue.ts';
import { reportAccess } from './report/access.ts';
import { reportChanges } from './report/changes.ts';
import { reportExceptions } from './report/exceptions.ts';
import { reportKeyExchange } from './report/key-exchange.ts';
import { rotationFinish } from './rotation/finish.ts';
import { rotationList } from './rotation/list.ts';
import { rotationShow } from './rotation/show.ts';
import { rotationUndo } from './rotation/undo.ts';
import { sessionEnd } from './session/end.ts';
import { sessionList } from './session/list.ts';
import type { Verb } from './verb/verb.ts';
import { windowClose } from './window/close.ts';
import { windowList } from './window/list.ts';
import { windowOpen } from './window/open.ts';

export const verbs: readonly Verb[] = [
  status,
  doctor,
  whoami,
  drain,
  customerCreate,
  customerList,
  customerShow,
  customerRename,
  customerSuspend,
  customerResume,
  accountCreate,
  accountList,
  accountShow,
  accountSet,
  accountLock,
  accountUnlock,
  accountExpire,
  accountEndSessions,
  customerPolicy,
  credentialList,
  credentialShow,
  credentialStale,
  credentialWake,
  credentialRevoke,
  credentialRotate,
  rotationList,
  rotationShow,
  rotationFinish,
  rotationUndo,
  keyAdd,
  keyRetire,
  keyConfirm,
  keySuspend,
  keyResume,
  passwordIssue,
  mfaTicket,
  mfaReset,
  windowOpen,
  windowClose,
  windowList,
  fileList,
  fileReceipt,
  fileWithdraw,
  fileRelease,
  fileReopen,
  folderCreate,
  folderSet,
  holdPlace,
  holdLift,
  holdList,
  sessionList,
  sessionEnd,
  budgetShow,
  budgetSet,
  budgetTighten,
  budgetRelease,
  budgetHistory,
  exposure,
  alertList,
  incidentScope,
  incidentHunt,
  incidentPack,
  incidentAssure,
  ledgerStatus,
  ledgerTail,
  ledgerSearch,
  ledgerShow,
  ledgerRelease,
  ledgerVerify,
  changeList,
  changeShow,
  changeApprove,
  changeReject,
  operatorList,
  operatorCreate,
  operatorSetRole,
  operatorAddKey,
  operatorEndKey,
  operatorSuspend,
  operatorResume,
  breakGlassPrepare,
  breakGlassList,
  breakGlassEnd,
  breakGlassReview,
  reportChanges,
  bootstrapVerb,
  completionVerb(() => verbs),
  reportAccess,
  reportExceptions,
  reportKeyExchange,
];
