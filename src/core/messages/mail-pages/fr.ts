import type { Texts } from './en.js'

export const fr: Texts = {
  verify_email: {
    title: 'Confirmez votre adresse e-mail',
    text: 'Confirmez que cette adresse appartient à votre compte.',
    button: 'Confirmer',
    done: 'Votre adresse est confirmée. Vous pouvez fermer cette page.'
  },
  reset_password: {
    title: 'Définir un nouveau mot de passe',
    text: 'Toutes vos sessions prendront fin. Votre second facteur reste tel quel.',
    button: 'Définir le mot de passe',
    done: 'Votre mot de passe est défini. Vous pouvez maintenant vous connecter avec.'
  },
  undo_email_change: {
    title: 'Gardez votre adresse e-mail',
    text: 'Toutes les sessions de votre compte prendront fin, et cette adresse reste. Connectez-vous ensuite et changez ' +
      'votre mot de passe.',
    button: 'Garder cette adresse',
    done: 'Cette adresse reste, et toutes les sessions ont pris fin. Connectez-vous et changez votre mot de passe maintenant.'
  },
  newPassword: 'Nouveau mot de passe',
  incomplete: 'Ce lien est incomplet. Ouvrez de nouveau le lien de l’e-mail.',
  noAnswer: 'Il n’y a pas de réponse. Réessayez dans un instant.',
  needsScript: 'Cette page a besoin de JavaScript pour envoyer le code de votre lien.'
}
