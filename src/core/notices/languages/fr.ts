import type { Texts } from '../texts.js'

export const fr: Texts = {
  greeting: 'Bonjour {name},',
  notices: {
    otp_enabled: {
      subject: 'L’authentification à deux facteurs est activée',
      text: 'L’authentification à deux facteurs a été activée pour votre compte.'
    },
    otp_device_added: { subject: 'Un second facteur a été ajouté', text: 'Un autre second facteur a été ajouté à votre compte.' },
    otp_device_removed: { subject: 'Un second facteur a été supprimé', text: 'Un second facteur a été supprimé de votre compte.' },
    otp_disabled: {
      subject: 'L’authentification à deux facteurs est désactivée',
      text: 'L’authentification à deux facteurs a été désactivée pour votre compte. Le mot de passe suffit désormais pour l’ouvrir.'
    },
    recovery_regenerated: {
      subject: 'Nouveaux codes de récupération',
      text: 'De nouveaux codes de récupération ont été créés pour votre compte. Les anciens ne sont plus valables.'
    },
    recovery_used: {
      subject: 'Un code de récupération a été utilisé', text: 'Un code de récupération a été utilisé pour se connecter à votre compte.'
    },
    otp_reset: {
      subject: 'Votre second facteur a été réinitialisé',
      text: 'Le second facteur de votre compte a été réinitialisé par l’administration. Toutes vos sessions sont terminées.'
    },
    otp_locked: {
      subject: 'Codes erronés pour votre compte',
      text: 'Trop de codes erronés ont été saisis pour votre compte, après le bon mot de passe. Si ce n’était pas vous, ' +
        'quelqu’un connaît ' +
        'votre mot de passe.'
    },
    otp_stopped: {
      subject: 'Les codes ne sont plus acceptés',
      text: 'Tant de codes erronés ont été saisis pour votre compte, après le bon mot de passe, qu’aucun code d’application n’est plus ' +
        'accepté avant l’utilisation d’un code de récupération ou un déblocage par l’administration. Si ce n’était pas vous, quelqu’un ' +
        'connaît votre mot de passe.'
    },
    refresh_reused: {
      subject: 'Une session a été fermée',
      text: 'Un jeton de l’une de vos sessions a été présenté deux fois : il en existe peut-être une copie. Cette session est terminée.'
    },
    password_changed: { subject: 'Votre mot de passe a été modifié', text: 'Le mot de passe de votre compte a été modifié.' },
    password_reset: {
      subject: 'Votre mot de passe a été réinitialisé',
      text: 'Un nouveau mot de passe a été défini pour votre compte au moyen d’un lien. Toutes vos sessions sont terminées.'
    },
    email_changed: { subject: 'Votre adresse e-mail a été modifiée', text: 'L’adresse e-mail de votre compte a été modifiée.' }
  },
  messages: {
    verify_email: {
      subject: 'Confirmez votre adresse e-mail',
      text: 'Confirmez que ceci est l’adresse e-mail du compte {username}. Le lien est valable 24 heures :\n\n{link}\n\n' +
        'Si vous n’avez rien demandé, vous n’avez rien à faire.'
    },
    reset_password: {
      subject: 'Définissez un nouveau mot de passe',
      text: 'Un nouveau mot de passe a été demandé pour le compte {username}. Le lien est valable 30 minutes, une seule fois ' +
        ':\n\n{link}\n\n' +
        'Si vous n’avez rien demandé, vous n’avez rien à faire : votre mot de passe reste inchangé.'
    },
    undo_email_change: {
      subject: 'Votre adresse e-mail va être modifiée',
      text: 'Une autre adresse e-mail a été indiquée pour le compte {username}. Si c’était vous, vous n’avez rien à faire.\n\n' +
        'Si ce n’était pas vous, ouvrez ce lien dans les 72 heures. Il ferme toutes les sessions et conserve cette adresse :\n\n{link}'
    },
    reset_password_staff: {
      subject: 'Votre mot de passe ne peut pas être réinitialisé par e-mail',
      text: 'Un nouveau mot de passe a été demandé pour le compte {username}. Un membre de l’administration sans second ' +
        'facteur ne reçoit ' +
        'pas de lien. Adressez-vous à un autre membre de l’administration.'
    }
  },
  at: 'Date : {at}',
  from: 'Adresse réseau : {ip}',
  agent: 'Programme : {agent}',
  device: 'Nom : {device}',
  recoveryCodesLeft: 'Codes de récupération restants : {count}',
  more: 'Cela s’est produit encore {count} fois depuis le dernier message à ce sujet.',
  advice: {
    own: 'Si ce n’était pas vous, changez maintenant votre mot de passe et fermez vos autres sessions.',
    staff: 'Si vous n’avez rien demandé, prévenez maintenant l’administration de {issuer}.',
    password: 'Si ce n’était pas vous, changez maintenant votre mot de passe. Votre second facteur a protégé le compte.'
  }
}
