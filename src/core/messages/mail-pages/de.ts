import type { Texts } from './en.js'

export const de: Texts = {
  verify_email: {
    title: 'Bestätigen Sie Ihre E-Mail-Adresse',
    text: 'Bestätigen Sie, dass diese Adresse zu Ihrem Konto gehört.',
    button: 'Bestätigen',
    done: 'Ihre Adresse ist bestätigt. Sie können diese Seite schließen.'
  },
  reset_password: {
    title: 'Neues Passwort festlegen',
    text: 'Alle Ihre Sitzungen enden. Ihr zweiter Faktor bleibt, wie er ist.',
    button: 'Passwort festlegen',
    done: 'Ihr Passwort ist festgelegt. Sie können sich jetzt damit anmelden.'
  },
  undo_email_change: {
    title: 'Behalten Sie Ihre E-Mail-Adresse',
    text: 'Alle Sitzungen Ihres Kontos enden, und diese Adresse bleibt. Melden Sie sich danach an und ändern Sie Ihr Passwort.',
    button: 'Diese Adresse behalten',
    done: 'Diese Adresse bleibt, und alle Sitzungen sind beendet. Melden Sie sich jetzt an und ändern Sie Ihr Passwort.'
  },
  newPassword: 'Neues Passwort',
  incomplete: 'Dieser Link ist unvollständig. Öffnen Sie den Link der E-Mail noch einmal.',
  noAnswer: 'Es kommt keine Antwort. Versuchen Sie es gleich noch einmal.',
  needsScript: 'Diese Seite braucht JavaScript, um den Code Ihres Links zu senden.'
}
