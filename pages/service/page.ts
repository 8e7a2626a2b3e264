import { ApiError, callApi, type Call } from '../elements/api.js'
import { CsElement } from '../elements/element.js'
import { pageTexts, type PageMessages } from './messages/index.js'

/** Facts of the service that the pages need, from the `data-` attributes of the document. */
export interface Service {
  root: URL
  name: string
  signUp: boolean
  mail: boolean
  kinds: string
  passwordMinLength: number
}

export function readService (): Service {
  const { root = './', name = '', signUp, mail, kinds = 'totp', passwordMinLength } = document.documentElement.dataset
  return {
    root: new URL(root, location.href),
    name,
    kinds,
    signUp: signUp === 'on',
    mail: mail === 'on',
    passwordMinLength: Number(passwordMinLength)
  }
}

/** Part of a page. It has no shadow root: password managers find its fields, and the style sheet of the page applies. */
export abstract class PagePart extends CsElement {
  declare service: Service

  constructor () {
    super()
    this.service = readService()
  }

  protected override createRenderRoot (): HTMLElement {
    return this
  }

  protected override get t (): PageMessages {
    return pageTexts(this.language)
  }

  /** Calls any operation of the service. */
  protected async ask<Answer = null> (method: Call['method'], path: string, body?: object): Promise<Answer> {
    const url = new URL(path, this.service.root).href
    return await callApi<Answer>({ method, url, ...(body === undefined ? {} : { body }) }, {
      lang: this.language, authorize: this.settings.authorize
    })
  }
}

export const isCode = (error: unknown, ...codes: string[]): error is ApiError => error instanceof ApiError && codes.includes(error.code)
